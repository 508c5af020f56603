package io.github.notifier.client;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A file that keeps events until the service has answered for each of them, across the end of the process.
 *
 * <p>Lines of JSON: an object is an event, an array is the sources and ids of events that the service has answered for. A
 * line that was torn by a crash is passed over. What is written survives the end of the process at once, and that of the
 * machine once the system has written it to the disk. Its methods are called under the producer's lock.
 */
final class Spool {
    private static final Set<OpenOption> LOCK = Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    private static final Set<OpenOption> ANEW =
            Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING);

    private final Map<Key, byte[]> open = new LinkedHashMap<>();
    private final Path path;
    private final long limit;
    private final FileChannel lock;
    private FileChannel file;
    private long size;
    private long held;

    /** An event's source and id. */
    record Key(String source, String id) {}

    /** Opens a spool; throws IllegalStateException where another process has it. */
    Spool(Path path, long limit) throws IOException {
        this.path = path;
        this.limit = limit;
        this.lock = locked(beside(".lock"));
        try {
            read();
            rewrite();
        } catch (IOException error) {
            lock.close();
            throw error;
        }
    }

    /** The events that the service hasn't answered for, as JSON. */
    Map<Key, byte[]> open() {
        return open;
    }

    /** Keeps events; throws ServiceUnavailableException, and keeps none, where there is no room for them. */
    void add(Map<Key, byte[]> events) {
        byte[] lines = lines(events.values());
        if (held + open.size() + lines.length > limit) {
            throw new ServiceUnavailableException(
                    "the spool " + path + " is full: it has " + held + " of " + limit + " bytes");
        }
        try {
            if (size + lines.length > limit) {
                rewrite();
            }
            append(lines);
        } catch (IOException error) {
            throw new ServiceUnavailableException("the spool " + path + " can't be written: " + error.getMessage());
        }
        events.forEach((key, event) -> {
            byte[] before = open.put(key, event);
            held += event.length - (before == null ? 0 : before.length);
        });
    }

    /** Forgets events that the service has answered for. */
    void settle(List<Key> keys) {
        List<List<String>> settled = new ArrayList<>();
        for (Key key : keys) {
            byte[] event = open.remove(key);
            if (event != null) {
                held -= event.length;
                settled.add(List.of(key.source(), key.id()));
            }
        }
        if (settled.isEmpty()) {
            return;
        }
        try {
            if (open.isEmpty()) {
                file.truncate(0);
                size = 0;
            } else {
                append(lines(List.of(Answers.JSON.writeValueAsBytes(settled))));
            }
        } catch (IOException error) {
            // they are sent once more at the next start, which is harmless
        }
    }

    /** Leaves the file to another process. */
    void close() throws IOException {
        try {
            file.close();
        } finally {
            lock.close();
        }
    }

    private void read() throws IOException {
        if (!Files.exists(path)) {
            return;
        }
        byte[] all = Files.readAllBytes(path);
        int start = 0;
        for (int end = 0; end < all.length; end++) {
            if (all[end] == '\n') {
                line(java.util.Arrays.copyOfRange(all, start, end));
                start = end + 1;
            }
        }
    }

    private void line(byte[] line) throws IOException {
        JsonNode told;
        try {
            told = Answers.JSON.readTree(line);
        } catch (JsonProcessingException torn) {
            return;
        }
        if (told.isArray()) {
            told.forEach(each -> open.remove(new Key(each.path(0).asText(), each.path(1).asText())));
        } else if (told.hasNonNull("source") && told.hasNonNull("id")) {
            open.put(new Key(told.get("source").asText(), told.get("id").asText()), line);
        }
    }

    /** Writes the file anew with what is open; whoever dies meanwhile leaves the one before. */
    private void rewrite() throws IOException {
        Path made = beside(".new");
        FileChannel before = file;
        file = FileChannel.open(made, ANEW, mode(made));
        size = 0;
        held = open.values().stream().mapToLong(event -> event.length).sum();
        append(lines(open.values()));
        Files.move(made, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        if (before != null) {
            before.close();
        }
    }

    private void append(byte[] lines) throws IOException {
        try {
            ByteBuffer left = ByteBuffer.wrap(lines);
            long at = size;
            while (left.hasRemaining()) {
                at += file.write(left, at);
            }
            size = at;
        } catch (IOException error) {
            file.truncate(size); // half a line would spoil the next one
            throw error;
        }
    }

    private Path beside(String ending) {
        return path.resolveSibling(path.getFileName() + ending);
    }

    private static byte[] lines(Iterable<byte[]> events) {
        ByteArrayOutputStream lines = new ByteArrayOutputStream();
        for (byte[] event : events) {
            lines.writeBytes(event);
            lines.write('\n');
        }
        return lines.toByteArray();
    }

    private static FileChannel locked(Path path) throws IOException {
        FileChannel lock = FileChannel.open(path, LOCK, mode(path));
        try {
            if (lock.tryLock() != null) {
                return lock;
            }
        } catch (OverlappingFileLockException error) {
            // another producer of this process has it
        }
        lock.close();
        throw new IllegalStateException(
                "somebody else has the spool that " + path + " locks: give each producer a file of its own");
    }

    /** Events may hold personal data: nobody else reads them. */
    private static FileAttribute<?>[] mode(Path path) {
        return path.getFileSystem().supportedFileAttributeViews().contains("posix")
                ? new FileAttribute<?>[] {PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))}
                : new FileAttribute<?>[0];
    }
}
