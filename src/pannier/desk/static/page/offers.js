// Links and file requests: made, listed, taken back.

export class Offers {
  links = null;
  requests = null;
  error = null;
  #timer = null;

  constructor(desk) {
    this.desk = desk;
  }

  /** Load both lists, and again each five seconds while they are shown. */
  async load() {
    clearTimeout(this.#timer);
    try {
      [this.links, this.requests] = await Promise.all([this.desk.api.links(), this.desk.api.requests()]);
      this.error = null;
    } catch (error) {
      this.error = error;
    }
    this.desk.changed();
    if (this.desk.panel === "links") this.#timer = setTimeout(() => this.load(), 5_000);
  }

  /** A link to a request of the planner, under terms. */
  async share(request, terms) {
    const link = await this.desk.api.share(request, terms);
    this.load();
    return link;
  }

  async request(terms) {
    const made = await this.desk.api.request(terms);
    this.load();
    return made;
  }

  /** Take back a link, or close a request. */
  async end(kind, code) {
    await this.desk.attempt(() => (kind === "link" ? this.desk.api.revoke(code) : this.desk.api.close(code)));
    await this.load();
  }

  /** Off the list. */
  async forget(kind, code) {
    await this.desk.attempt(() => (kind === "link" ? this.desk.api.forgetLink(code) : this.desk.api.forgetRequest(code)));
    await this.load();
  }
}
