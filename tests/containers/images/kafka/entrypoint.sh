set -eu
# KAFKA_LOG_DIRS=… becomes log.dirs=…, as in the official image.
env | grep '^KAFKA_' | while IFS='=' read -r name value; do
    name=${name#KAFKA_}; name=${name,,}; echo "${name//_/.}=$value"
done > /tmp/server.properties
java=(/opt/java/bin/java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '/opt/kafka/libs/*')
"${java[@]}" kafka.tools.StorageTool format --ignore-formatted --cluster-id="$CLUSTER_ID" --config /tmp/server.properties
exec "${java[@]}" kafka.Kafka /tmp/server.properties
