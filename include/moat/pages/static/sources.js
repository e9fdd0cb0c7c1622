// The knowledge base: a row for each source.

import { Box, DagLink, Flex, Go, LoadLink, Mark, Part, Pick, Rows, Shown, Spark, Text, When, Words, h, n, useAddress, useAnswer } from "./ui.js";

const COLUMNS = [
  { name: "source", by: (r) => r.source, cell: (r) => h(DagLink, { source: r.source }) },
  { name: "fresh", by: (r) => r.fresh, cell: (r) => h(Flex, { gap: 1, direction: "column", align: "start" }, h(Mark, null, r.masked ? "masked" : r.fresh), r.late && h(Text, { fontSize: "xs", color: "fg.muted" }, r.late)) },
  { name: "last load", by: (r) => r.opened_at, cell: (r) => h(Flex, { gap: 2, wrap: "wrap" }, h(LoadLink, { id: r.load }), h(Mark, null, r.state), h(When, { at: r.opened_at })) },
  { name: "promoted", by: (r) => r.promoted_at, cell: (r) => h(When, { at: r.promoted_at }) },
  { name: "documents", right: true, by: (r) => r.documents, cell: (r) => n(r.documents) },
  { name: "chunks", right: true, by: (r) => r.chunks, cell: (r) => n(r.chunks) },
  { name: "listed", cell: (r) => h(Spark, { values: r.listed, label: "documents listed" }) },
  { name: "held", by: (r) => -(r.held || 0), cell: (r) => r.held && h(LoadLink, { id: r.held }) },
  { name: "quarantined", right: true, by: (r) => r.quarantined, cell: (r) => (r.quarantined ? h(Go, { view: "quarantine", given: { source: r.source } }, n(r.quarantined)) : "") },
  { name: "incidents", by: (r) => r.incidents.length, cell: (r) => h(Flex, { gap: 2 }, ...r.incidents.slice(0, 3).map((i) => h(Go, { key: i, view: "incident", given: { incident: i } }, i))) },
  { name: "tokens, 30 days", right: true, by: (r) => r.tokens, cell: (r) => n(r.tokens) + (r.cost ? ` · ${r.cost}` : "") },
];
const WELL = [["", "all"], ["trouble", "with trouble"], ["held", "held"], ["late", "late"], ["quarantined", "with quarantine"]];

/** Whether a source needs somebody. */
export const inTrouble = (r) => r.late || r.held || r.masked || r.incidents.length > 0;
export const total = (rows, name) => rows.reduce((sum, r) => sum + r[name], 0);

const HAS = {
  "": () => true,
  trouble: inTrouble,
  held: (r) => !!r.held,
  late: (r) => !!r.late,
  quarantined: (r) => r.quarantined > 0,
};

export function Sources() {
  const [params, set] = useAddress();
  const answer = useAnswer("sources", {});
  const words = (params.get("words") || "").toLowerCase(), only = params.get("only") || "";
  return h(Shown, { answer }, (data) => {
    const rows = data.sources.filter((r) => r.source.toLowerCase().includes(words) && (HAS[only] || HAS[""])(r));
    return h(Box, null,
      h(Flex, { gap: 4, mb: 3, align: "end", wrap: "wrap" },
        h(Words, { label: "Source", value: params.get("words"), onChange: (v) => set({ words: v }) }),
        h(Pick, { label: "Show", value: only, choices: WELL, onChange: (v) => set({ only: v }) }),
        h(Text, { fontSize: "sm", color: "fg.muted" }, `${n(rows.length)} of ${n(data.sources.length)} sources · ${n(total(rows, "documents"))} documents and ${n(total(rows, "chunks"))} chunks are visible`)),
      h(Rows, { columns: COLUMNS, rows, label: "sources", sort: params.get("sort") || "source", onSort: (v) => set({ sort: v }), keyOf: (r) => r.source,
        empty: data.sources.length ? "No source is like this." : "No source is loaded yet: trigger the DAG of a source." }),
      h(Flex, { gap: 10, mt: 8, wrap: "wrap" }, ...Object.entries(data.totals).map(([what, each]) => h(Totals, { key: what, what, each }))));
  });
}

function Totals({ what, each }) {
  const most = Math.max(1, ...each.map((one) => one.documents));
  return h(Part, { title: { "file type": "By file type", language: "By language", readers: "By who may read them" }[what], minW: "18rem", maxW: "26rem" },
    ...(each.length ? [] : [h(Text, { key: "none", color: "fg.muted" }, "nothing is visible")]),
    ...each.slice(0, 8).map((one) => h(Box, { key: one.value, fontSize: "sm", mb: 1 },
      h(Flex, { justify: "space-between", gap: 4 }, h(Text, { overflowWrap: "anywhere" }, one.value), h(Text, null, n(one.documents))),
      h(Box, { height: "4px", borderRadius: "full", bg: "blue.solid", width: `${(100 * one.documents) / most}%` }))));
}
