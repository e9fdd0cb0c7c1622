// Incidents: what is wrong or was, why, whom it reaches and what mends it.

import { Act, Box, Command, Facts, Flex, Go, Heading, LoadLink, Mark, Nothing, Part, Rows, Shown, Text, Tick, When, ask, h, n, span, useAddress, useAnswer } from "./ui.js";

export function Incidents() {
  const [params, set] = useAddress();
  const answer = useAnswer("incidents", { resolved: params.get("resolved") ? "true" : "" });
  return h(Shown, { answer }, (data) => h(Box, null,
    h(Box, { mb: 3 }, h(Tick, { label: "also resolved ones", value: params.get("resolved"), onChange: (v) => set({ resolved: v }) })),
    h(Rows, { rows: data.incidents, label: "incidents", empty: params.get("resolved") ? "There was no incident." : "No incident is open.", sort: params.get("sort") || "", onSort: (v) => set({ sort: v }), keyOf: (r) => r.id, columns: [
      { name: "incident", by: (r) => r.id, cell: (r) => h(Go, { view: "incident", given: { incident: r.id } }, r.id) },
      { name: "state", by: (r) => r.state, cell: (r) => h(Flex, { gap: 1 }, h(Mark, null, r.state), h(Mark, null, r.severity)) },
      { name: "source", by: (r) => r.source, cell: (r) => r.source },
      { name: "what", wide: true, cell: (r) => r.title || r.stage },
      { name: "stage", by: (r) => r.stage, cell: (r) => r.stage },
      { name: "load", by: (r) => r.load_id, cell: (r) => h(LoadLink, { id: r.load_id }) },
      { name: "since", by: (r) => r.happened_at, cell: (r) => h(When, { at: r.happened_at }) },
    ] })));
}

export function Incident() {
  const [params] = useAddress();
  const answer = useAnswer(`incidents/${encodeURIComponent(params.get("incident") || "")}`, {});
  return h(Shown, { answer }, (data) => h(View, { data, again: answer.again }));
}

function View({ data, again }) {
  const one = data.incident;
  const take = (step) => (because) => ask(`incidents/${one.id}/${step}`, {}, { because });
  return h(Box, null,
    h(Flex, { gap: 3, align: "center", wrap: "wrap", mb: 3 }, h(Heading, { size: "md", as: "h2" }, `Incident ${one.id} of ${one.source}`), h(Mark, null, one.state), h(Mark, null, one.severity),
      data.rights.mend && one.state === "open" && h(Act, { name: "Acknowledge", title: "Acknowledge this incident?", reason: "free", act: take("acknowledge"), done: again }, h(Text, null, "Further failures join it without a message.")),
      data.rights.mend && one.state !== "resolved" && h(Act, { name: "Resolve", title: "Resolve this incident?", reason: "free", act: take("resolve"), done: again }, h(Text, null, "The next failure opens another. A promoted load resolves it by itself."))),
    h(Text, { fontWeight: "semibold", mb: 4, overflowWrap: "anywhere" }, one.title),
    h(Part, { title: "Likely causes" }, data.causes.length ? data.causes.map((cause, at) => h(Box, { key: at, mb: 3 }, h(Flex, { gap: 2 }, h(Text, { fontWeight: "semibold" }, cause.title), h(Text, { color: "fg.muted" }, `${Math.round(100 * cause.score)} %`)), h("ul", { style: { paddingInlineStart: "1.2rem", listStyle: "disc" } }, ...(cause.evidence || []).map((line, i) => h("li", { key: i, style: { overflowWrap: "anywhere" } }, line))))) : h(Nothing, null, "None was found.")),
    one.state !== "resolved" && data.commands.length > 0 && h(Part, { title: "What mends it" }, ...data.commands.map((line) => (line.startsWith("#") ? h(Text, { key: line, color: "fg.muted", fontSize: "sm" }, line.replace(/^#\s*/, "")) : h(Command, { key: line }, line)))),
    Object.keys(data.reach).length > 0 && h(Part, { title: "Reaches" }, h(Text, null, Object.entries(data.reach).map(([name, of]) => `${n(of)} ${name}`).join(", "))),
    h(Part, { title: "When" }, h(Facts, { rows: [["began", h(When, { at: one.happened_at })], ["noticed", one.opened_at && `after ${span(one.detect_s)}`], ["people told", one.told_at && h(When, { at: one.told_at })], ["acknowledged", one.acknowledged_by && `by ${one.acknowledged_by}`], ["resolved", one.resolved_by && `by ${one.resolved_by}${one.mend_s !== null ? `, ${span(one.mend_s)} after it began` : ""}`], ["because", one.because], ["load", one.load_id && h(LoadLink, { id: one.load_id })], ["run", one.run]] })),
    h(Part, { title: "What failed" }, h(Rows, { rows: data.happenings, label: "failures", empty: "Nothing.", columns: [
      { name: "", cell: (r) => h(Mark, null, r.severity) }, { name: "stage", cell: (r) => r.stage }, { name: "what", cell: (r) => `${r.kind} ${r.subject}` }, { name: "message", wide: true, cell: (r) => r.message }, { name: "times", right: true, cell: (r) => n(r.n) }, { name: "last", cell: (r) => h(When, { at: r.last_at }) }, { name: "in", cell: (r) => h(LoadLink, { id: r.load_id }) }] })));
}
