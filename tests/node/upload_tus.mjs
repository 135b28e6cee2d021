// Uploads a file with tus-js-client. Arguments: url, file, bytes of a chunk, and the name that a new upload gets;
// without a name the upload at the URL is gone on with. What fails is tried again, for about a minute.
import { createReadStream } from "node:fs";
import { Upload } from "tus-js-client";

const [, , url, file, chunk, name] = process.argv;
const began = name === undefined ? { uploadUrl: url } : { endpoint: url, metadata: { filename: name } };

new Upload(createReadStream(file), {
  ...began,
  chunkSize: Number(chunk),
  retryDelays: Array(300).fill(200),
  onShouldRetry: (error) => error.originalResponse?.getStatus() !== 404, // which is final: finished, or never there
  onSuccess: () => process.exit(0),
  onError: (error) => {
    console.error(String(error));
    process.exit(error.originalResponse?.getStatus() === 404 ? 4 : 1);
  },
}).start();
