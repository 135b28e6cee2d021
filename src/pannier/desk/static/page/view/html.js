// What every view is written with: elements from templates, without HTML text and so without eval or innerHTML.

import { createContext, h, render } from "../../vendor/preact.js";
import { useContext, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../../vendor/hooks.js";
import htm from "../../vendor/htm.js";

export const html = htm.bind(h);
export { createContext, render, useEffect, useLayoutEffect, useMemo, useRef, useState };

const Context = createContext(null);

/** The desk and its words: `const { desk, words } = useDesk()`. */
export const useDesk = () => useContext(Context);
export const Provider = Context.Provider;

/** Call `run` each `milliseconds` while the view is there and `on` is true. */
export function useTicks(run, milliseconds, on = true) {
  const latest = useRef(run);
  latest.current = run;
  useEffect(() => {
    if (!on) return undefined;
    const timer = setInterval(() => latest.current(), milliseconds);
    return () => clearInterval(timer);
  }, [milliseconds, on]);
}

/** The present in milliseconds, again each second while `on`. */
export function useNow(on = true) {
  const [now, set] = useState(Date.now());
  useTicks(() => set(Date.now()), 1000, on);
  return on ? Math.max(now, Date.now() - 999) : Date.now();
}
