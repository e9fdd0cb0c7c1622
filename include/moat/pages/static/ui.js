// What all pages share: Airflow's own React, router and Chakra, requests, words for numbers, tables and small charts.
// Everything that the ledger holds is given to React as text. Nothing here, or beside it, makes HTML of a string.

const React = globalThis.React;
const Chakra = globalThis.ChakraUI;
const Router = globalThis.ReactRouterDOM;
export const h = React.createElement;
export const { useCallback, useEffect, useMemo, useState } = React;
export const { Badge, Box, Button, Flex, Heading, Input, Spinner, Table, Text, Textarea } = Chakra;
const { Checkbox, Dialog, NativeSelect, Portal } = Chakra;
export const HOME = "/plugin/moat";
const API = new URL("../api/", import.meta.url);

/** Asks the server; an answer that is no success is thrown as its words. */
export async function ask(path, given, body) {
  const url = new URL(path, API);
  for (const [name, value] of Object.entries(given || {}))
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  const sent = body
    ? { method: "POST", headers: { "content-type": "application/json", "x-moat-request": "1" }, body: JSON.stringify(body) }
    : {};
  let answer;
  try {
    answer = await fetch(url, { credentials: "same-origin", ...sent });
  } catch {
    throw new Error("Airflow's API server does not answer.");
  }
  return await read(answer);
}

async function read(answer) {
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  if (answer.status === 401) throw new Error("You are logged out: load this page again.");
  const detail = Array.isArray(told.detail) ? told.detail.map((d) => `${d.loc?.at(-1)}: ${d.msg}`).join("; ") : told.detail;
  throw new Error(typeof detail === "string" ? detail : `The server answers ${answer.status}.`);
}

/** Asks Airflow's own API, as the person who looks. */
export async function airflow(method, path, body) {
  const url = new URL(`api/v2/${path}`, document.baseURI);
  const headers = { "content-type": "application/json" };
  return await read(await fetch(url, { method, credentials: "same-origin", headers, body: body && JSON.stringify(body) }));
}

/** What the server answers to a question that may change; `again` asks anew. */
export function useAnswer(path, given) {
  const [found, setFound] = useState({ loading: true });
  const [n, setN] = useState(0);
  const key = JSON.stringify([path, given]);
  useEffect(() => {
    let current = true;
    setFound((was) => ({ ...was, loading: true }));
    ask(path, given).then(
      (data) => current && setFound({ data }),
      (error) => current && setFound({ error: error.message }),
    );
    return () => { current = false; };
  }, [key, n]);
  return { ...found, again: useCallback(() => setN((was) => was + 1), []) };
}

/** The state of a page, kept in the address so that every view can be sent as a link. */
export function useAddress() {
  const [params, setParams] = Router.useSearchParams();
  const set = useCallback((changes) => setParams((was) => {
    const next = new URLSearchParams(was);
    for (const [name, value] of Object.entries(changes)) value ? next.set(name, value) : next.delete(name);
    return next;
  }, { replace: true }), [setParams]);
  return [params, set];
}

export function to(view, given) {
  const params = new URLSearchParams({ view });
  for (const [name, value] of Object.entries(given || {})) if (value !== undefined && value !== null && value !== "") params.set(name, value);
  return `${HOME}?${params}`;
}

export function Go({ view, given, children, ...more }) {
  return h(Router.Link, { to: to(view, given), style: { color: "var(--chakra-colors-fg-info, #2563eb)", textDecoration: "underline", textUnderlineOffset: "2px", unicodeBidi: "plaintext" }, ...more }, children);
}

export const DocumentLink = ({ source, id, children }) => h(Go, { view: "document", given: { source, key: id } }, children || id);
export const LoadLink = ({ id, children }) => (id ? h(Go, { view: "load", given: { load: id } }, children || `load ${id}`) : null);

export const DagLink = ({ source }) => h(Router.Link, { to: `/dags/${encodeURIComponent(source)}`, style: { fontWeight: 600 }, title: "its DAG in Airflow" }, source);

export const n = (value) => (value === null || value === undefined ? "" : Number(value).toLocaleString("en"));

export function moment(at) {
  return at ? `${at.slice(0, 10)} ${at.slice(11, 16)}` : "";
}

/** A time, and how long ago it was. */
export function When({ at }) {
  if (!at) return null;
  const minutes = (Date.now() - Date.parse(at)) / 60000;
  const ago = minutes < 1 ? "now" : minutes < 90 ? `${Math.round(minutes)} min ago` : minutes < 2880 ? `${Math.round(minutes / 60)} hours ago` : `${Math.round(minutes / 1440)} days ago`;
  return h("time", { dateTime: at, title: `${moment(at)} UTC`, style: { whiteSpace: "nowrap" } }, ago);
}

export function span(seconds) {
  if (seconds === null || seconds === undefined) return "";
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : seconds < 120 ? `${seconds.toFixed(1)} s` : seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} hours`;
}

const COLOURS = {
  fresh: "green", promoted: "green", ok: "green", unchanged: "gray", resolved: "green",
  late: "red", rejected: "red", block: "red", BLOCK: "red", open: "blue", staged: "blue", masked: "red",
  held: "orange", hold: "orange", HOLD: "orange", warn: "yellow", WARN: "yellow", acknowledged: "yellow",
  "not looked at": "red", "rolled back": "purple", "set aside": "orange", replay: "blue",
};

export function Mark({ children, colour }) {
  if (!children) return null;
  return h(Badge, { colorPalette: colour || COLOURS[children] || "gray", variant: "surface", whiteSpace: "nowrap" }, children);
}

export function Told({ error, again }) {
  return h(Box, { role: "alert", borderWidth: "1px", borderColor: "border.error", borderRadius: "md", p: 4, my: 3 },
    h(Text, { fontWeight: "semibold" }, "This cannot be shown"), h(Text, null, error),
    again && h(Button, { size: "sm", mt: 2, variant: "outline", onClick: again }, "Try again"));
}

/** Shows the answer, or that it comes, or why it does not. */
export function Shown({ answer, children }) {
  if (answer.error) return h(Told, { error: answer.error, again: answer.again });
  if (!answer.data) return h(Flex, { p: 6, gap: 3, align: "center" }, h(Spinner, { size: "sm" }), h(Text, null, "Asking the ledger…"));
  return children(answer.data);
}

export const Nothing = ({ children }) => h(Text, { color: "fg.muted", py: 4 }, children);

export function Part({ title, more, children, ...rest }) {
  return h(Box, { as: "section", mb: 6, ...rest },
    h(Flex, { align: "baseline", gap: 3, mb: 2, wrap: "wrap" }, h(Heading, { size: "md", as: "h2" }, title), more), children);
}

export function Facts({ rows }) {
  return h(Box, { as: "dl", display: "grid", gridTemplateColumns: "max-content 1fr", columnGap: 4, rowGap: 1, fontSize: "sm" },
    ...rows.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false)
      .flatMap(([name, value]) => [h(Box, { as: "dt", color: "fg.muted", key: name }, name), h(Box, { as: "dd", key: `${name}=`, overflowWrap: "anywhere", style: { unicodeBidi: "plaintext" } }, value)]));
}

const PAGE = 50;

/** A table: columns of {name, cell, by (what it sorts by), right}. It draws a page of rows, however many there are. */
export function Rows({ columns, rows, empty, sort, onSort, label, keyOf }) {
  const [shown, setShown] = useState(PAGE);
  const ordered = useMemo(() => {
    const column = columns.find((c) => c.name === (sort || "").replace(/^-/, ""));
    if (!column?.by) return rows;
    const sign = sort.startsWith("-") ? -1 : 1;
    const value = (row) => column.by(row) ?? "";
    return [...rows].sort((a, b) => { const x = value(a), y = value(b); return sign * (x < y ? -1 : x > y ? 1 : 0); });
  }, [rows, sort]);
  if (!rows.length) return h(Nothing, null, empty);
  const header = (c) => {
    const on = !!sort && sort.replace(/^-/, "") === c.name, down = on && sort.startsWith("-");
    const words = c.by && onSort ? h("button", { type: "button", style: { font: "inherit", cursor: "pointer", fontWeight: 600 }, onClick: () => onSort(on && !down ? `-${c.name}` : c.name) }, c.name, on ? (down ? " ↓" : " ↑") : "") : c.name;
    return h(Table.ColumnHeader, { key: c.name, textAlign: c.right ? "end" : "start", fontWeight: 600, "aria-sort": on ? (down ? "descending" : "ascending") : undefined, whiteSpace: "nowrap" }, words);
  };
  return h(Box, { overflowX: "auto", tabIndex: 0, role: "region", "aria-label": label || "table" },
    h(Table.Root, { size: "sm", variant: "line" },
      h(Table.Header, null, h(Table.Row, null, ...columns.map(header))),
      h(Table.Body, null, ...ordered.slice(0, shown).map((row, at) => h(Table.Row, { key: keyOf ? keyOf(row) : at },
        ...columns.map((c) => h(Table.Cell, { key: c.name, textAlign: c.right ? "end" : "start", verticalAlign: "top", maxW: c.wide ? "36rem" : "22rem", overflowWrap: "anywhere", style: { unicodeBidi: "plaintext" } }, c.cell(row))))))),
    ordered.length > shown && h(Flex, { gap: 3, align: "center", mt: 2 },
      h(Text, { fontSize: "sm" }, `${n(shown)} of ${n(ordered.length)}`),
      h(Button, { size: "xs", variant: "outline", onClick: () => setShown(shown + PAGE * 4) }, "Show more")));
}

/** Numbers as a line, from the oldest to the newest. */
export function Spark({ values, label }) {
  if (!values || values.length < 2) return null;
  const least = Math.min(...values), most = Math.max(...values), w = 90, t = 20;
  const at = (v, i) => `${(i / (values.length - 1)) * (w - 4) + 2},${most === least ? t / 2 : t - 2 - ((v - least) / (most - least)) * (t - 4)}`;
  return h("svg", { width: w, height: t, role: "img", "aria-label": `${label}: ${values.map(n).join(", ")}` },
    h("polyline", { points: values.map(at).join(" "), fill: "none", stroke: "currentColor", strokeWidth: 1.5, opacity: 0.8 }));
}

/** The history of a measure, its usual range as a band, and this load's value. */
export function Band({ history, value, low, high, show, label, departed }) {
  const values = [...history.map((one) => one.value), value];
  const known = low !== null && high !== null;
  const every = known ? [...values, low, high] : values;
  let least = Math.min(...every), most = Math.max(...every);
  if (least === most) { least -= 1; most += 1; }
  const w = 260, t = 56, x = (i) => 4 + (values.length < 2 ? 0.5 : i / (values.length - 1)) * (w - 12), y = (v) => t - 4 - ((v - least) / (most - least)) * (t - 8);
  const range = known ? `, usually ${show(low)} to ${show(high)}` : "";
  return h("svg", { width: w, height: t, role: "img", "aria-label": `${label}: ${show(value)}${range}` },
    known && h("rect", { x: 0, width: w, y: y(high), height: Math.max(1, y(low) - y(high)), fill: "#3b82f6", opacity: 0.18 }),
    values.length > 1 && h("polyline", { points: values.map((v, i) => `${x(i)},${y(v)}`).join(" "), fill: "none", stroke: "currentColor", strokeWidth: 1.2, opacity: 0.7 }),
    ...history.map((one, i) => h("circle", { key: i, cx: x(i), cy: y(one.value), r: 2, fill: "currentColor", opacity: 0.6 }, h("title", null, `load ${one.load}: ${show(one.value)}`))),
    h("circle", { cx: x(values.length - 1), cy: y(value), r: 4, fill: departed ? "#dc2626" : known && (value < low || value > high) ? "#ea580c" : "#2563eb" }, h("title", null, `this load: ${show(value)}`)));
}

export function Field({ label, children }) {
  return h("label", { style: { display: "inline-flex", flexDirection: "column", gap: "2px", fontSize: "0.8rem" } }, label, children);
}

export function Pick({ label, value, choices, onChange }) {
  return h(Field, { label }, h(NativeSelect.Root, { size: "sm", width: "auto", minW: "10rem" },
    h(NativeSelect.Field, { value: value || "", onChange: (e) => onChange(e.target.value), "aria-label": label },
      ...choices.map(([v, words]) => h("option", { key: v, value: v }, words))), h(NativeSelect.Indicator)));
}

export function Words({ label, value, onChange, width }) {
  return h(Field, { label }, h(Input, { size: "sm", width: width || "16rem", value: value || "", onChange: (e) => onChange(e.target.value), "aria-label": label }));
}

export function Tick({ label, value, onChange }) {
  return h(Checkbox.Root, { size: "sm", checked: !!value, onCheckedChange: (e) => onChange(e.checked ? "1" : "") },
    h(Checkbox.HiddenInput), h(Checkbox.Control), h(Checkbox.Label, null, label));
}

/** A button that asks once, takes a reason where one is needed, and shows what came of it. */
export function Act({ name, title, children, reason, colour, extra, act, done }) {
  const [open, setOpen] = useState(false), [because, setBecause] = useState(""), [busy, setBusy] = useState(false), [error, setError] = useState(""), [also, setAlso] = useState("");
  const go = async () => {
    setBusy(true); setError("");
    try { await act(because.trim(), !!also); setOpen(false); setBecause(""); if (done) done(); } catch (e) { setError(e.message); } finally { setBusy(false); }
  };
  return h(React.Fragment, null,
    h(Button, { size: "sm", variant: "outline", colorPalette: colour, onClick: () => setOpen(true) }, name),
    h(Dialog.Root, { open, onOpenChange: (e) => setOpen(e.open), role: "alertdialog" },
      h(Portal, null, h(Dialog.Backdrop), h(Dialog.Positioner, null, h(Dialog.Content, null,
        h(Dialog.Header, null, h(Dialog.Title, null, title)),
        h(Dialog.Body, null, children,
          reason && h(Box, { mt: 3 }, h(Field, { label: reason === "needed" ? "Reason, recorded in the audit" : "Reason (recorded in the audit), or nothing" },
            h(Textarea, { value: because, onChange: (e) => setBecause(e.target.value), maxLength: 2000, width: "26rem", "aria-label": "Reason" }))),
          extra && h(Box, { mt: 3 }, h(Tick, { label: extra, value: also, onChange: setAlso })),
          error && h(Text, { role: "alert", color: "fg.error", mt: 3 }, error)),
        h(Dialog.Footer, null,
          h(Button, { variant: "ghost", onClick: () => setOpen(false) }, "Cancel"),
          h(Button, { colorPalette: colour || "blue", loading: busy, disabled: reason === "needed" && !because.trim(), onClick: go }, name)))))));
}

export function Command({ children }) {
  const [copied, setCopied] = useState(false);
  return h(Flex, { gap: 2, align: "center", my: 1 }, h("code", { style: { fontSize: "0.85rem", overflowWrap: "anywhere" } }, children),
    h(Button, { size: "2xs", variant: "outline", onClick: () => navigator.clipboard.writeText(children).then(() => setCopied(true)) }, copied ? "Copied" : "Copy"));
}
