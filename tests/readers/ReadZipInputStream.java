import java.io.BufferedInputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/** Reads an archive from its first byte on, by local headers alone. Arguments: archive [member]. One JSON line a member. */
public final class ReadZipInputStream {
    public static void main(String[] args) throws Exception {
        String wanted = args.length > 1 ? args[1] : null;
        boolean found = wanted == null;
        try (ZipInputStream archive = new ZipInputStream(new BufferedInputStream(new FileInputStream(args[0]), 1 << 20))) {
            for (ZipEntry entry = archive.getNextEntry(); entry != null; entry = archive.getNextEntry()) {
                // Reading a member to its end is what checks its CRC-32; closeEntry() would do it as well, for one not wanted.
                if (wanted == null || wanted.equals(entry.getName())) {
                    found = true;
                    JsonLine.print(entry, archive);
                } else {
                    archive.closeEntry();
                }
            }
        }
        if (!found) {
            throw new IOException("no such member: " + wanted);
        }
    }
}
