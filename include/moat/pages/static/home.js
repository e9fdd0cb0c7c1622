// The panel on Airflow's Home: how fresh the knowledge base is, and the sources that need somebody.

import { Box, DagLink, Flex, Go, Heading, LoadLink, Mark, Text, When, h, n, useAnswer } from "./ui.js";
import { inTrouble, total } from "./sources.js";

const SHOWN = 5; // sources that need somebody

export function Home() {
  const { data, error } = useAnswer("sources", {});
  return h(Box, { as: "section", "aria-label": "Knowledge base", borderWidth: "1px", borderRadius: "md", px: 4, py: 3, className: "moat-pages" },
    h(Flex, { gap: 4, align: "baseline", wrap: "wrap" },
      h(Heading, { size: "sm", as: "h2" }, h(Go, { view: "sources" }, "Knowledge base")),
      error ? h(Text, { role: "alert", fontSize: "sm" }, error) : data ? h(Summary, { rows: data.sources }) : h(Text, { fontSize: "sm", color: "fg.muted" }, "Asking the ledger…")),
    data && h(Trouble, { rows: data.sources.filter(inTrouble) }));
}

function Summary({ rows }) {
  if (!rows.length) return h(Text, { fontSize: "sm", color: "fg.muted" }, "No source is loaded yet: trigger the DAG of a source.");
  const newest = rows.map((r) => r.promoted_at).filter(Boolean).sort().at(-1);
  const late = rows.filter((r) => r.late).length;
  return h(Flex, { gap: 3, align: "baseline", wrap: "wrap", fontSize: "sm" },
    h(Text, null, `${n(rows.length)} sources, ${n(total(rows, "documents"))} documents are visible`),
    newest && h(Text, null, "newest load promoted ", h(When, { at: newest })),
    h(Mark, { colour: late ? "red" : "green" }, late ? `${n(late)} late` : "none is late"));
}

function Trouble({ rows }) {
  if (!rows.length) return null;
  return h(Box, { as: "ul", mt: 2, fontSize: "sm", style: { listStyle: "none", paddingInlineStart: 0 } },
    ...rows.slice(0, SHOWN).map((r) => h(Flex, { as: "li", key: r.source, gap: 3, wrap: "wrap", py: "2px" },
      h(DagLink, { source: r.source }),
      r.held && h(Flex, { gap: 1 }, h(LoadLink, { id: r.held }), h(Mark, null, "held")),
      r.masked && h(Mark, null, "masked"),
      r.late && h(Text, null, h(Mark, { colour: "red" }, "late"), ` ${r.late}`),
      ...r.incidents.slice(0, 3).map((i) => h(Go, { key: i, view: "incident", given: { incident: i } }, `incident ${i}`)))),
    rows.length > SHOWN && h("li", null, h(Go, { view: "sources", given: { only: "trouble" } }, `${n(rows.length - SHOWN)} more that need somebody`)));
}
