import java.io.IOException;
import java.util.Collections;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

/** Reads an archive by its central directory. Arguments: archive [member]. One JSON line a member. */
public final class ReadZipFile {
    public static void main(String[] args) throws Exception {
        String wanted = args.length > 1 ? args[1] : null;
        try (ZipFile archive = new ZipFile(args[0])) {
            if (wanted == null) {
                for (ZipEntry entry : Collections.list(archive.entries())) {
                    JsonLine.print(entry, archive.getInputStream(entry));
                }
                return;
            }
            ZipEntry entry = archive.getEntry(wanted);
            if (entry == null) {
                throw new IOException("no such member: " + wanted);
            }
            JsonLine.print(entry, archive.getInputStream(entry));
        }
    }
}
