// Whether the server can be reached, and whether we are still signed in.

const FIRST = 2_000;
const LONGEST = 30_000;

export class Connection {
  state = "online"; // online, offline, signed-out
  since = 0;
  next = 0;
  #wait = FIRST;
  #timer = null;

  constructor(desk) {
    this.desk = desk;
    // somebody may have signed in in another tab meanwhile
    document.addEventListener("visibilitychange", () => !document.hidden && this.state !== "online" && this.now());
    window.addEventListener("online", () => this.state === "offline" && this.now());
  }

  /** What the last request came to: "online", "offline" or "signed-out". */
  heard(news) {
    if (news === "offline") {
      if (this.state !== "offline") {
        this.state = "offline";
        this.since = Date.now();
        this.#wait = FIRST;
        this.desk.planner.offline(true);
        this.desk.alert(this.desk.plain("bar.offline", { time: { time: this.since } }));
      }
      this.#again();
    } else if (news !== this.state) {
      const before = this.state;
      this.state = news;
      clearTimeout(this.#timer);
      if (news === "online") {
        this.desk.planner.offline(false);
        if (before === "signed-out" && this.desk.bar.phase === "failed") this.desk.planner.recount();
        if (before !== "online") this.desk.tell(this.desk.plain("connection.back"));
        if (this.desk.listing !== null && this.desk.listing.error !== null) this.desk.load();
      }
    }
    this.desk.changed();
  }

  now() {
    clearTimeout(this.#timer);
    this.desk.api.me().then(
      (me) => {
        this.desk.server.csrf = me.csrf;
        this.heard(this.desk.signedIn && !me.signed_in ? "signed-out" : "online");
      },
      () => {},
    );
  }

  #again() {
    clearTimeout(this.#timer);
    this.next = Date.now() + this.#wait;
    this.#timer = setTimeout(() => this.now(), this.#wait);
    this.#wait = Math.min(LONGEST, this.#wait * 2);
  }
}
