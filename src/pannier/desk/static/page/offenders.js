// The whole list of what cannot be included: as lines for the clipboard, as CSV for a file.

/** One line each: path, tab, reason. */
export async function offendersText(desk) {
  const offenders = await desk.api.offenders(desk.planner.request());
  return offenders.map(({ path, detail }) => `${path}\t${detail}`).join("\n");
}

/** Save the list as a file of the browser's downloads. */
export async function saveOffenders(desk) {
  await desk.attempt(async () => {
    const text = csv(await desk.api.offenders(desk.planner.request()));
    const url = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" }));
    const anchor = document.createElement("a");
    anchor.href = url;
    anchor.download = `${desk.title}-left-out.csv`;
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  });
}

/** RFC 4180; a cell that a spreadsheet would take for a formula begins with an apostrophe. */
export function csv(offenders) {
  const cell = (text) => `"${(/^[=+\-@\t\r]/u.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  const rows = offenders.map(({ path, code, detail }) => [path, code, detail]);
  return [["path", "code", "detail"], ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}
