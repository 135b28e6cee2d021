// Files and folders as they are dropped or chosen: a flat list of files with paths, and the empty directories.

/** What a drop holds: {files: [{file, path}], directories: [path]}. Has to be called in the event's own turn. */
export async function dropped(transfer) {
  const entries = Array.from(transfer.items, (item) => (item.kind === "file" ? item.webkitGetAsEntry?.() : null));
  if (entries.every((entry) => !entry)) return chosen(transfer.files);
  const found = { files: [], directories: [] };
  for (const entry of entries) if (entry) await walk(entry, "", found);
  return found;
}

/** What a field of files holds; those of a chosen folder know their path. */
export function chosen(files) {
  return { files: Array.from(files, (file) => ({ file, path: file.webkitRelativePath || file.name })), directories: [] };
}

async function walk(entry, above, found) {
  const path = above === "" ? entry.name : `${above}/${entry.name}`;
  if (entry.isFile) {
    found.files.push({ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), path });
    return;
  }
  const children = await read(entry.createReader());
  if (children.length === 0) found.directories.push(path);
  for (const child of children) await walk(child, path, found);
}

/** All entries of a directory: a reader gives a hundred at a time, and none at the end. */
async function read(reader) {
  const all = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}
