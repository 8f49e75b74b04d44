set -eu
as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
chown postgres /var/lib/postgresql
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    as_postgres mkdir -p "$PGDATA"
    echo "$POSTGRES_PASSWORD" > /tmp/password && chown postgres /tmp/password
    as_postgres initdb -D "$PGDATA" --username="$POSTGRES_USER" --pwfile=/tmp/password --auth-host=scram-sha-256 --auth-local=trust --encoding=UTF8 --locale=C.UTF-8
    rm /tmp/password
    echo "CREATE DATABASE $POSTGRES_DB" | as_postgres postgres --single -D "$PGDATA" postgres
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
fi
exec setpriv --reuid=postgres --regid=postgres --clear-groups postgres -D "$PGDATA" -c "listen_addresses=*" -c unix_socket_directories=/tmp "$@"
