// The worker of a listing: keeps its columns, and answers with row numbers in order.

import { Columns } from "./matching.js";

let columns = new Columns();

self.onmessage = ({ data }) => {
  if (data.type === "begin") columns = new Columns();
  else if (data.type === "rows") columns.push(data);
  else {
    const order = columns.arrange(data);
    self.postMessage({ ticket: data.ticket, order, rows: columns.length }, [order.buffer]);
  }
};
