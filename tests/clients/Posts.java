import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;

/** Posts the lines of a file, as they are and in chunks by turns, with a client as it comes; prints the statuses. */
public class Posts {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        boolean inChunks = false;
        for (String line : Files.readAllLines(Path.of(arguments[1]))) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0]))
                    .header("Content-Type", "application/json")
                    .POST(inChunks ? chunked(line) : BodyPublishers.ofString(line))
                    .build();
            System.out.println(client.send(request, BodyHandlers.ofString()).statusCode());
            inChunks = !inChunks;
        }
    }

    private static BodyPublisher chunked(String body) {
        return BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(body.getBytes()));
    }
}
