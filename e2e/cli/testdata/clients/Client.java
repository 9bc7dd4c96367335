import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.Base64;

/** Calls the API with Java's own client, which asks for HTTP/2 at first, and prints a line. */
public class Client {
    public static void main(String[] args) throws Exception {
        String url = System.getenv("PAYLINK_URL");
        String basic = "Basic " + Base64.getEncoder().encodeToString((System.getenv("PAYLINK_KEY") + ":" + System.getenv("PAYLINK_SECRET")).getBytes());
        HttpClient client = HttpClient.newHttpClient();
        var made = client.send(HttpRequest.newBuilder(URI.create(url + "/api/payment"))
            .header("Authorization", basic).header("Content-Type", "application/json;charset=UTF-8").header("Idempotency-Key", "java-httpclient")
            .POST(HttpRequest.BodyPublishers.ofString("{\"amount\":12.50,\"currency\":\"EUR\",\"reference\":\"java\"}")).build(), BodyHandlers.ofString());
        var listed = client.send(HttpRequest.newBuilder(URI.create(url + "/api/payments")).header("Authorization", basic).build(), BodyHandlers.ofString());
        boolean ok = made.statusCode() == 200 && made.body().contains("\"object\":\"link\"") && listed.statusCode() == 200 && listed.body().contains("\"object\":\"list\"");
        System.out.println("java-httpclient " + (ok ? "ok" : "failed: " + made.statusCode() + " " + made.body() + " " + listed.statusCode() + " " + listed.body()));
    }
}
