// What is set aside, why, and what has it tried again.

import { Act, Box, DocumentLink, Flex, LoadLink, Mark, Pick, Rows, Shown, Text, Tick, When, ask, h, n, useAddress, useAnswer } from "./ui.js";
import { Replay } from "./document.js";

const choices = (counts) => [["", "all"], ...Object.entries(counts).map(([name, of]) => [name, `${name} (${n(of)})`])];

export function Quarantine() {
  const [params, set] = useAddress();
  const wanted = Object.fromEntries(["source", "stage", "error"].map((name) => [name, params.get(name) || ""]));
  const answer = useAnswer("quarantine", { ...wanted, resolved: params.get("resolved") ? "true" : "" });
  return h(Shown, { answer }, (data) => h(Box, null,
    h(Flex, { gap: 4, align: "end", mb: 3, wrap: "wrap" },
      ...["source", "stage", "error"].map((name) => h(Pick, { key: name, label: name, value: wanted[name], choices: choices(data.by[name]), onChange: (v) => set({ [name]: v }) })),
      h(Tick, { label: "also those that have left it", value: params.get("resolved"), onChange: (v) => set({ resolved: v }) }),
      wanted.source && data.documents.some((d) => d.trigger) && h(Act, { name: "Replay all of these", title: `Try the documents of ${wanted.source} again?`, done: answer.again, extra: "Also those that failed three times",
        act: (_, again) => ask("quarantine/replay", {}, { source: wanted.source, stage: wanted.stage || null, error: wanted.error || null, again }) },
        h(Text, null, `They are read again at the next run of ${wanted.source}, although they have not changed.`))),
    data.n > data.documents.length && h(Text, { fontSize: "sm" }, `The newest ${n(data.documents.length)} of ${n(data.n)}.`),
    h(Rows, { rows: data.documents, label: "quarantined documents", empty: "Nothing is in quarantine.", sort: params.get("sort") || "", onSort: (v) => set({ sort: v }), keyOf: (r) => `${r.source}/${r.key}`, columns: [
      { name: "document", by: (r) => r.key, cell: (r) => h(DocumentLink, { source: r.source, id: r.key }) },
      { name: "source", by: (r) => r.source, cell: (r) => r.source },
      { name: "why", wide: true, by: (r) => r.error, cell: (r) => h(Box, null, h(Text, { fontWeight: "semibold" }, `${r.error} in ${r.stage}`), h(Text, null, r.reason)) },
      { name: "attempts", right: true, by: (r) => r.attempts, cell: (r) => n(r.attempts) },
      { name: "state", by: (r) => r.state, cell: (r) => h(Box, null, h(Mark, null, r.state), h(Text, { fontSize: "xs" }, r.until)) },
      { name: "in", by: (r) => r.load_id, cell: (r) => h(LoadLink, { id: r.load_id }) },
      { name: "last", by: (r) => r.last_at, cell: (r) => h(When, { at: r.last_at }) },
      { name: " ", cell: (r) => r.trigger && r.state === "set aside" && h(Replay, { source: r.source, id: r.key, done: answer.again }) },
    ] })));
}
