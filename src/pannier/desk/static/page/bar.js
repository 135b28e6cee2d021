// The selection bar: a machine of states, and what each says. Pure: times are handed in, in milliseconds.

/** Milliseconds after the last change until a plan is asked for, and until a walk is called slow. */
export const SETTLE = 300;
export const SLOW = 5_000;

export const NONE = Object.freeze({ phase: "none", picked: 0, offline: null, exact: null });

/** The state after an event. */
export function step(state, event) {
  switch (event.type) {
    case "picked": // the selection is another one
      if (event.picked === 0) return { ...NONE, offline: state.offline };
      return { ...counting(state, event.at), picked: event.picked, exact: null, again: false };
    case "cleared":
      return { ...NONE, offline: state.offline, phase: "cleared", cleared: event.picked };
    case "changed": // the folder changed under a plan
      if (state.picked === 0) return state;
      return { ...counting(state, event.at), changed: event.at };
    case "recount":
      return state.picked === 0 ? state : counting(state, event.at);
    case "progress":
      return state.phase === "counting" ? { ...state, entries: event.entries, bytes: event.bytes } : state;
    case "planned":
      if (state.phase !== "counting") return state;
      return { ...state, phase: event.plan.refused > 0 ? "refused" : "exact", exact: event.plan, changed: null };
    case "problem":
      if (state.phase !== "counting" && state.phase !== "exact") return state;
      return { ...state, ...troubled(event) };
    case "stopped": // by the person: too slow
      return state.phase === "counting" ? { ...state, phase: "stopped" } : state;
    case "started":
      return state.phase === "exact" ? { ...state, phase: "started" } : state;
    case "offline":
      return { ...state, offline: state.offline ?? event.at };
    case "online":
      return { ...state, offline: null };
    default:
      throw new Error(`the bar knows no ${event.type}`);
  }
}

function counting(state, at) {
  return { ...state, phase: "counting", since: at, entries: 0, bytes: 0, problem: null, changed: null };
}

function troubled({ problem, at }) {
  if (problem.type === "limit-exceeded") return { phase: "limit", problem };
  if (problem.status === 429 || problem.status === 503) {
    return { phase: "busy", problem, retryAt: at + 1000 * (problem.retryAfter ?? 5) };
  }
  return { phase: "failed", problem };
}

/**
 * What the bar shows: `text` and `below` are lists of [key, values] of words (sizes as {size: bytes} are put into
 * words by the view), `primary` the one button: {key, values, action, enabled, reason}; `tone` is plain, bad or warn.
 */
export function face(state, now) {
  const shown = lines(state, now);
  const primary = { values: {}, enabled: true, ...button(state) };
  if (state.offline !== null && primary.action !== "undo") {
    shown.below = [["bar.offline", { time: { time: state.offline } }]];
    primary.enabled = false;
    primary.reason = "bar.offline-reason";
  }
  return { tone: "plain", ...shown, primary: primary.key === undefined ? null : primary };
}

function lines(state, now) {
  const selected = ["bar.selected", { n: state.picked }];
  const seconds = Math.max(0, Math.floor((now - (state.since ?? now)) / 1000));
  const plan = state.exact;
  switch (state.phase) {
    case "none":
      return { text: [["bar.none", {}]], below: [] };
    case "cleared":
      return { text: [["bar.cleared", { n: state.cleared }]], below: [] };
    case "counting": {
      if (state.changed) {
        const ago = Math.max(0, Math.floor((now - state.changed) / 1000));
        return { text: [selected, ["bar.changed", { s: ago }]], below: [], tone: "warn" };
      }
      const text = [selected, ["bar.so-far", { e: state.entries }]];
      if (seconds > 0) text.push(["bar.seconds", { s: seconds }]);
      return { text, below: now - state.since >= SLOW ? [["bar.slow", {}]] : [], stop: now - state.since >= SLOW };
    }
    case "stopped":
      return { text: [selected, ["bar.stopped", { e: state.entries }]], below: [] };
    case "exact":
    case "started": {
      const shown = exact(selected, plan);
      if (state.phase === "started") shown.below = [["bar.started", {}]];
      return shown;
    }
    case "refused":
      return {
        text: [["bar.refused", { n: plan.refused, m: plan.asked }]],
        below: [["bar.nothing-sent", {}]],
        tone: "bad",
      };
    case "limit":
      return { text: [["bar.limit", limits(state.problem)]], below: [], tone: "bad" };
    case "busy":
      return {
        text: [selected, ["bar.busy", { s: Math.max(0, Math.ceil((state.retryAt - now) / 1000)) }]],
        below: [],
        tone: "warn",
      };
    case "failed":
      return { text: [selected], below: [], problem: state.problem, tone: "bad" };
    default:
      throw new Error(`the bar has no ${state.phase}`);
  }
}

function exact(selected, plan) {
  if (plan.single) {
    return { text: [selected, ["size", { size: { size: plan.bytes } }]], below: [["bar.one-file", {}]] };
  }
  if (plan.files === 0 && plan.entries > 0 && plan.bytes === 0 && plan.links === 0) {
    return {
      text: [selected, ["bar.empty", { e: plan.entries }]],
      below: [["bar.exactly", { b: plan.length }], ["bar.resumable", {}]],
    };
  }
  if (plan.length === null) {
    return {
      text: [["bar.entries", { e: plan.entries }], ["bar.contents", { size: { size: plan.bytes } }]],
      below: [["bar.unknown", {}]],
      renamed: plan.renamed,
    };
  }
  return {
    text: [selected, ["bar.entries", { e: plan.entries }], ["size", { size: { size: plan.bytes } }]],
    below: [["bar.exactly", { b: plan.length }], ["bar.resumable", {}]],
    renamed: plan.renamed,
    omitted: plan.omitted,
  };
}

function button(state) {
  switch (state.phase) {
    case "counting":
      return { key: "bar.counting", action: "none", enabled: false, reason: "bar.counting-reason" };
    case "exact":
      return { key: state.exact.single ? "act.download-file" : "act.download", action: "download" };
    case "started":
      return { key: "act.download-again", action: "download" };
    case "refused":
    case "limit":
      return { key: "act.review", action: "review" };
    case "failed":
      return { key: "act.try-again", action: "recount" };
    case "stopped":
      return { key: "act.count-again", action: "recount" };
    case "busy":
      return { key: "act.try-now", action: "recount" };
    case "cleared":
      return { key: "act.undo", action: "undo" };
    default:
      return {};
  }
}

function limits(problem) {
  return { n: problem.measured ?? problem.detail ?? "", limit: problem.limit ?? "" };
}
