import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.*;
import org.apache.avro.Conversions;
import org.apache.avro.Schema;
import org.apache.avro.data.TimeConversions;
import org.apache.avro.generic.*;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

/**
 * Keeps the current state of one changelog topic in a map, by the rule of docs/consuming.md. Needs Java 17,
 * kafka-clients, avro and jackson-databind on the class path; --once ends it when the snapshot is complete.
 *
 * <p>java -cp 'lib/*' examples/java/ReadChangelog.java erp.changelog.customer --once
 */
public class ReadChangelog {
  static final String REGISTRY = env("REGISTRY", "http://localhost:9090/registry");
  static final Map<Integer, GenericDatumReader<GenericRecord>> READERS = new HashMap<>();

  public static void main(String[] args) throws Exception {
    var settings = new Properties();
    settings.put("bootstrap.servers", env("KAFKA", "localhost:9092"));
    settings.put("isolation.level", "read_committed"); // a must: Java's default shows aborted records too
    settings.put("enable.auto.commit", "false");
    var view = new HashMap<String, GenericRecord>();
    try (var kafka = new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer())) {
      var partitions = kafka.partitionsFor(args[0]).stream()
          .map(one -> new TopicPartition(one.topic(), one.partition())).toList();
      kafka.assign(partitions);
      kafka.seekToBeginning(partitions);
      var ends = kafka.endOffsets(partitions);
      for (var complete = false; !complete || args.length == 1;) {
        for (var record : kafka.poll(Duration.ofSeconds(1))) {
          take(view, record.key(), decode(record.value()));
          System.out.println((record.value() == null ? "tombstone " : "record ") + record.key());
        }
        // by position: commit markers occupy offsets, so no last record stands at the end
        if (!complete && ends.keySet().stream().allMatch(one -> kafka.position(one) >= ends.get(one))) {
          complete = true;
          System.out.println("-- snapshot complete: " + view.size() + " living entities " + view.keySet());
        }
      }
    }
  }

  /** The whole rule: null means deleted, else the greatest version, the later one at a tie. */
  static void take(Map<String, GenericRecord> view, String key, GenericRecord value) {
    if (value == null) view.remove(key);
    else if (!view.containsKey(key) || (long) value.get("meta_version") >= (long) view.get(key).get("meta_version"))
      view.put(key, value);
  }

  /** Confluent's frame: byte 0, four bytes of schema id, Avro. Confluent's own deserializer does the same. */
  static GenericRecord decode(byte[] framed) throws Exception {
    if (framed == null) return null;
    var id = ByteBuffer.wrap(framed, 1, 4).getInt();
    if (!READERS.containsKey(id)) {
      var schema = HttpRequest.newBuilder(URI.create(REGISTRY + "/schemas/ids/" + id + "/schema")).build();
      var text = HttpClient.newHttpClient().send(schema, BodyHandlers.ofString()).body();
      var types = new GenericData();
      types.addLogicalTypeConversion(new Conversions.DecimalConversion());
      types.addLogicalTypeConversion(new TimeConversions.DateConversion());
      types.addLogicalTypeConversion(new TimeConversions.TimestampMillisConversion());
      var parsed = new Schema.Parser().parse(text);
      READERS.put(id, new GenericDatumReader<>(parsed, parsed, types));
    }
    return READERS.get(id).read(null, DecoderFactory.get().binaryDecoder(framed, 5, framed.length - 5, null));
  }

  static String env(String name, String otherwise) {
    return System.getenv().getOrDefault(name, otherwise);
  }
}
