package example;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.standardwebhooks.Webhook;
import java.net.URI;
import java.net.http.HttpHeaders;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.*;
import java.util.concurrent.*;
import java.util.regex.*;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.*;

/** Accepts the events of ecs-task-notifier: Spring Boot, and the Java library of Standard Webhooks. */
@SpringBootApplication
@RestController
public class Receiver {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Pattern TRACEPARENT = Pattern.compile("00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}");
    private final List<Webhook> keys = new ArrayList<>();
    private final Map<String, Instant> seen = new ConcurrentHashMap<>();
    private final ExecutorService workers =
        new ThreadPoolExecutor(4, 4, 0, TimeUnit.SECONDS, new ArrayBlockingQueue<>(100));
    private String task; // null outside ECS

    public Receiver() throws Exception {
        for (String secret : System.getenv("NOTIFIER_VERIFYING_KEYS").trim().split("\\s+")) keys.add(new Webhook(secret));
        String uri = System.getenv("ECS_CONTAINER_METADATA_URI_V4");
        if (uri != null) task = JSON.readTree(URI.create(uri + "/task").toURL()).get("TaskARN").asText();
    }

    /** Returns whether one of the keys signed this body within the last five minutes. */
    private boolean verified(String body, Map<String, List<String>> headers) {
        HttpHeaders read = HttpHeaders.of(headers, (name, value) -> true);
        for (Webhook key : keys) {
            try {
                key.verify(body, read);
                return true;
            } catch (Exception no) { // Several types for a malformed header; all of them mean: not verified.
            }
        }
        return false;
    }

    @PostMapping(path = "/v1.0/notify", consumes = "application/cloudevents+json")
    public ResponseEntity<String> notified(
            @RequestBody byte[] bytes, @RequestHeader org.springframework.http.HttpHeaders headers) throws Exception {
        String body = new String(bytes, StandardCharsets.UTF_8);
        if (!verified(body, headers)) return ResponseEntity.status(401).body("no signature matches\n");
        JsonNode event = JSON.readTree(body);
        if (task != null && !task.equals(event.path("ecstask").asText()))
            return ResponseEntity.status(421).body("the event is for another task\n");
        // The answer to a question changes nothing: a question may come again.
        if (event.path("question").asBoolean(false)) {
            // Clocks may differ by half a minute.
            if (event.has("expirytime") && Instant.parse(event.get("expirytime").asText()).isBefore(Instant.now().minusSeconds(30)))
                return ResponseEntity.badRequest().body("the question has expired\n");
            String version = System.getenv().getOrDefault("VERSION", "unknown");
            return ResponseEntity.ok(JSON.writeValueAsString(Map.of("version", version)));
        }
        Instant now = Instant.now();
        seen.values().removeIf(at -> at.isBefore(now.minus(Duration.ofHours(1))));
        String id = headers.getFirst("webhook-id");
        if (seen.putIfAbsent(id, now) != null) return ResponseEntity.ok("handled before\n");
        try {
            // The header is not signed, so its form is checked. The notifier's log has the same id.
            Matcher parts = TRACEPARENT.matcher(Objects.requireNonNullElse(headers.getFirst("traceparent"), ""));
            String trace = parts.matches() ? parts.group(1) : "-";
            workers.execute(() ->
                System.out.println("trace_id=" + trace + " " + event.get("type") + ": " + event.get("data")));
        } catch (RejectedExecutionException full) {
            seen.remove(id);
            return ResponseEntity.status(503).header("Retry-After", "1").body("busy\n");
        }
        return ResponseEntity.accepted().body("accepted\n");
    }

    public static void main(String[] arguments) {
        SpringApplication.run(Receiver.class, arguments);
    }
}
