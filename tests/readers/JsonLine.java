import java.io.IOException;
import java.io.InputStream;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;

/** What both programs say about a member. */
final class JsonLine {
    private JsonLine() {}

    /** Reads the content to its end, checks size and CRC-32 against the entry, and prints one line of ASCII JSON. */
    static void print(ZipEntry entry, InputStream content) throws IOException, GeneralSecurityException {
        MessageDigest sha256 = MessageDigest.getInstance("SHA-256");
        CRC32 crc = new CRC32();
        long size = 0;
        byte[] buffer = new byte[1 << 18];
        for (int got = content.read(buffer); got >= 0; got = content.read(buffer)) {
            sha256.update(buffer, 0, got);
            crc.update(buffer, 0, got);
            size += got;
        }
        // ZipFile itself compares neither for a stored member.
        if (size != entry.getSize()) {
            throw new IOException("size of " + entry.getName() + " is " + size + ", header says " + entry.getSize());
        }
        if (crc.getValue() != entry.getCrc()) {
            throw new IOException("CRC-32 of " + entry.getName() + " differs from its header");
        }
        StringBuilder line = new StringBuilder("{\"name\": \"");
        for (char unit : entry.getName().toCharArray()) {
            if (unit < 0x20 || unit > 0x7e || unit == '"' || unit == '\\') {
                line.append(String.format("\\u%04x", (int) unit));
            } else {
                line.append(unit);
            }
        }
        line.append("\", \"size\": ").append(size);
        line.append(", \"sha256\": \"").append(HexFormat.of().formatHex(sha256.digest()));
        line.append("\", \"mtime\": ").append(Math.floorDiv(entry.getLastModifiedTime().toMillis(), 1000L)).append('}');
        System.out.println(line);
    }
}
