// A download as it is shown: from what its session tells, to a state and a sentence. Pure; times in milliseconds.

import { Pace } from "./numbers.js";

/** Milliseconds without a byte taken, until a running download is said to be pausing. */
export const PAUSING = 5_000;

/** What the page remembers of one download between two looks at its session. */
export class Watch {
  pace = new Pace();
  began = null; // when the first byte was seen to leave
  bytes = 0;
  movedAt = 0;
  resumes = []; // offsets at which it went on after a break
  #broken = false;
  spoken = 0; // the last quarter that was told

  /** Take one look. `session` has delivered (bytes), running (streams now) and word. */
  look(session, now) {
    const bytes = session.delivered;
    if (bytes > 0 && this.began === null) {
      this.began = now;
      this.movedAt = now;
    }
    if (session.running > 0 && this.#broken) {
      this.resumes.push(this.bytes);
      this.#broken = false;
      this.pace = new Pace();
    }
    if (bytes !== this.bytes) this.movedAt = now;
    this.bytes = bytes;
    this.pace.mark(now / 1000, bytes);
    if (session.word === "interrupted" && bytes > 0) this.#broken = true;
  }
}

const STOPPED = ["source-changed", "source-unreadable"];

/**
 * The row of a download: {state, tone, text: [key, values], left, rate, ended}. `state` is waiting, running, pausing,
 * interrupted, resumed, stopped, sent, revoked or expired.
 */
export function row(session, watch, now) {
  const { delivered, length, failure } = session;
  const sizes = { a: { size: delivered }, b: { size: length ?? delivered } };
  const ended = (state, tone, key, values = {}) => ({ state, tone, text: [key, { ...sizes, ...values }], ended: true });
  const times = watch.resumes.length;
  switch (session.word) {
    case "sent":
      return ended("sent", "ok", times > 0 ? "activity.sent-resumed" : "activity.sent", {
        n: times,
        b: length ?? delivered,
        time: { until: at(session.completed_at) ?? at(session.spent_at) ?? now },
      });
    case "revoked":
      return ended("revoked", "bad", "activity.revoked");
    case "expired":
      return ended("expired", "bad", "activity.expired", { time: { until: at(session.resumable_until) ?? now } });
    case "stopped":
      return ended("stopped", "bad", `activity.stopped.${STOPPED.includes(failure?.cause) ? failure.cause : "other"}`, {
        name: { name: failure?.entry ?? session.filename },
        time: { until: at(failure?.at) ?? now },
      });
    case "interrupted":
      return {
        state: "interrupted",
        tone: "warn",
        text: [
          length === null ? "activity.cut" : "activity.interrupted",
          { ...sizes, time: { until: at(session.resumable_until) ?? now } },
        ],
      };
    case "running":
      return running(session, watch, now, sizes);
    default:
      return { state: "waiting", tone: "plain", text: ["activity.waiting", sizes] };
  }
}

function running({ delivered, length, taken_at }, watch, now, sizes) {
  const idle = now - Math.max(watch.movedAt, at(taken_at) ?? 0);
  if (watch.began !== null && idle >= PAUSING) {
    return { state: "pausing", tone: "warn", text: ["activity.pausing", { ...sizes, s: Math.floor(idle / 1000) }] };
  }
  const rate = watch.pace.rate;
  const since = watch.began === null ? 0 : (now - watch.began) / 1000;
  const left = length === null ? null : watch.pace.left(length - delivered, since);
  const times = watch.resumes.length;
  if (times > 0) {
    const values = { ...sizes, n: times, at: { size: watch.resumes.at(-1) } };
    return { state: "resumed", tone: "accent", text: ["activity.resumed", values], rate, left };
  }
  const key = length === null ? "activity.running-open" : "activity.running";
  return { state: "running", tone: "accent", text: [key, sizes], rate, left };
}

/** The row of a download that the page itself writes (saver.js): as its session tells, but for what only the page knows. */
export function saved(row, saver, now) {
  const sizes = { a: { size: saver.at }, b: { size: saver.length ?? saver.at } };
  const ended = (state, tone, key, values = {}) => ({ state, tone, text: [key, { ...sizes, ...values }], ended: true });
  switch (saver.state) {
    case "waiting": {
      const s = Math.max(0, Math.ceil((saver.retryAt - now) / 1000));
      return { state: "interrupted", tone: "warn", text: ["activity.again", { ...sizes, s }], here: true };
    }
    case "checked":
      return ended("checked", "ok", "activity.checked", { n: saver.entries, b: saver.length });
    case "saved":
      return ended("saved", "ok", "activity.saved", { b: saver.length });
    case "changed":
    case "refused":
      return row.ended && row.state !== "sent" ? row : ended("stopped", "bad", "activity.stopped.changed");
    case "damaged":
      return ended("stopped", "bad", "activity.stopped.damaged", { name: { name: saver.name ?? "ZIP" } });
    case "unwritable":
      return ended("stopped", "bad", "activity.stopped.unwritable");
    case "left":
      return ended("revoked", "bad", "activity.revoked");
    default: // the session may be a look behind, or ahead of what is written
      return row.ended && row.state === "sent" ? { ...row, state: "running", tone: "accent", text: ["activity.running", sizes], ended: false } : row;
  }
}

function at(instant) {
  return instant === null || instant === undefined ? null : Date.parse(instant);
}

/** The quarter that a voice is to tell now: 25, 50 or 75, once each; null where there is none. */
export function quarter(watch, delivered, length) {
  if (!length) return null;
  const passed = Math.floor((delivered / length) * 4) * 25;
  if (passed <= watch.spoken || passed === 0 || passed >= 100) return null;
  watch.spoken = passed;
  return passed;
}
