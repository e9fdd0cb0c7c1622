// One load: what went in and came out, what the gate saw, and what a person can do.

import { Act, Band, Box, Button, Command, DocumentLink, Facts, Flex, Go, Heading, LoadLink, Mark, Nothing, Part, Rows, Shown, Text, When, airflow, ask, h, n, span, useAddress, useAnswer, useState } from "./ui.js";

export function Load({ number }) {
  const [params] = useAddress();
  const id = number || params.get("load");
  const answer = useAnswer(`loads/${encodeURIComponent(id)}`, {});
  return h(Shown, { answer }, (data) => h(View, { data, again: answer.again }));
}

function View({ data, again }) {
  const { load } = data;
  return h(Box, null,
    h(Flex, { gap: 3, align: "center", wrap: "wrap", mb: 2 },
      h(Heading, { size: "md", as: "h2" }, `Load ${load.id} of ${load.source}`), h(Mark, null, load.state), h(When, { at: load.opened_at }), h(Actions, { data, again })),
    load.reason && h(Box, { mb: 3, ps: 3, borderInlineStartWidth: "3px", borderColor: load.state === "held" ? "orange.solid" : "border" }, h(Text, { whiteSpace: "pre-wrap", overflowWrap: "anywhere" }, load.reason)),
    h(Flex, { gap: 3, wrap: "wrap", mb: 4, fontSize: "sm" }, "Loads of this source: ", ...data.near.map((one) => h(Flex, { key: one.id, gap: 1 }, one.id === load.id ? h(Text, { fontWeight: "bold" }, one.id) : h(LoadLink, { id: one.id }, one.id), h(Mark, null, one.state)))),
    ...data.incidents.map((one) => h(Box, { key: one.id, mb: 2 }, h(Go, { view: "incident", given: { incident: one.id } }, `incident ${one.id}: ${one.title}`), " ", h(Mark, null, one.state))),
    h(Funnel, { data }),
    h(Checks, { data }),
    h(Measures, { data }),
    h(Part, { title: "What changed", more: data.changes.since && h(Text, { fontSize: "sm" }, "since ", h(LoadLink, { id: data.changes.since }), ", promoted last") },
      data.changes.since === null ? h(Nothing, null, "No load of this source was promoted before.") : data.changes.what.length ? h("ul", { style: { paddingInlineStart: "1.2rem", listStyle: "disc" } }, ...data.changes.what.map((one) => h("li", { key: one }, one))) : h(Nothing, null, "Nothing: the same code, settings, model and declaration.")),
    h(Stages, { data }),
    h(Part, { title: "Made by" }, h(Facts, { rows: [["run", load.run], ["model", load.model], ["opened", h(When, { at: load.opened_at })], ["proved", load.proved_at && h(When, { at: load.proved_at })], ["ended", load.ended_at && h(When, { at: load.ended_at })], ["decided by", load.decided_by || (load.state === "promoted" ? "the gate" : "")], ["released over its budget by", load.budget_by], ["options", Object.keys(load.options).length ? JSON.stringify(load.options) : ""]] })));
}

function Funnel({ data }) {
  const [params, set] = useAddress();
  const kind = params.get("kind");
  return h(Part, { title: "Documents and chunks" },
    data.funnel.length ? h(Flex, { wrap: "wrap", gap: 2 }, ...data.funnel.map((one) => h(Box, { key: one.name, borderWidth: "1px", borderRadius: "md", px: 3, py: 2, minW: "6.5rem" },
      h(Text, { fontSize: "xl", fontWeight: "semibold" }, one.kind ? h("button", { type: "button", style: { textDecoration: "underline", cursor: "pointer" }, "aria-expanded": kind === one.kind, "aria-label": `${n(one.n)} ${one.words}: show them`, onClick: () => set({ kind: kind === one.kind ? "" : one.kind }) }, n(one.n)) : n(one.n)),
      h(Text, { fontSize: "xs", color: "fg.muted" }, one.words)))) : h(Nothing, null, "This load has counted nothing yet."),
    kind && h(Behind, { key: kind, load: data.load, kind }));
}

function Behind({ load, kind }) {
  const [after, setAfter] = useState("");
  const answer = useAnswer(`loads/${load.id}/documents`, { kind, after });
  return h(Box, { mt: 3 }, h(Shown, { answer }, (found) => h(Box, null,
    h(Rows, { rows: found.documents, label: `${kind} documents`, keyOf: (r) => r.key,
      empty: found.n ? "No more." : "None of them is known here: the ledger has them from the stage load on, and the load's files in staging are gone or out of reach.",
      columns: [{ name: "document", cell: (r) => h(DocumentLink, { source: r.source, id: r.key }) }, { name: "title", cell: (r) => r.title }, { name: "chunks", right: true, cell: (r) => n(r.chunks) }, { name: "because", wide: true, cell: (r) => r.because }] }),
    found.documents.length < found.n && found.documents.length > 0 && h(Button, { size: "xs", variant: "outline", mt: 2, onClick: () => setAfter(found.documents.at(-1).key) }, `Next of ${n(found.n)}`))));
}

function Checks({ data }) {
  const [params, set] = useAddress();
  const all = params.get("checks") === "all";
  const rows = all ? data.checks : data.checks.filter((r) => r.state !== "not judged");
  const idle = data.checks.filter((r) => r.state === "not judged").length;
  const toggle = idle > 0 && h(Button, { size: "2xs", variant: "ghost", onClick: () => set({ checks: all ? "" : "all" }) }, all ? "Hide what was not judged" : `Show ${n(idle)} that had nothing to judge`);
  return h(Part, { title: "Checks of the gate", more: toggle },
    h(Rows, { rows, label: "checks", empty: "No check has run.", keyOf: (r) => `${r.family}/${r.name}`, columns: [
      { name: "", cell: (r) => h(Mark, null, r.state) },
      { name: "check", cell: (r) => h(Box, null, h(Text, { fontWeight: "semibold" }, r.name), h(Text, { fontSize: "xs", color: "fg.muted" }, r.family)) },
      { name: "seen", wide: true, cell: (r) => r.seen },
      { name: "allowed", cell: (r) => r.allowed },
      { name: "documents", cell: (r) => h(Flex, { direction: "column", gap: 1 }, ...r.documents.map((key) => h(DocumentLink, { key, source: data.load.source, id: key }))) },
    ] }));
}

const SHOW = { share: (v) => `${(100 * v).toFixed(1)} %`, count: (v) => n(Math.round(v)), plain: (v) => (Math.abs(v) >= 100 ? n(Math.round(v)) : String(Number(v.toPrecision(3)))) };

function Measures({ data }) {
  const [params, set] = useAddress();
  const all = params.get("measures") === "all";
  const worst = [...data.measures].sort((a, b) => (b.departed ? 1 : 0) - (a.departed ? 1 : 0) || b.history.length - a.history.length);
  const rows = all ? worst : worst.filter((m, at) => m.departed || at < 6);
  const toggle = worst.length > rows.length || all ? h(Button, { size: "2xs", variant: "ghost", onClick: () => set({ measures: all ? "" : "all" }) }, all ? "Show fewer" : `Show all ${n(worst.length)}`) : null;
  return h(Part, { title: "Measures and their usual range", more: toggle },
    rows.length ? h(Flex, { wrap: "wrap", gap: 5 }, ...rows.map((m) => {
      const show = SHOW[m.scale];
      return h(Box, { key: `${m.name} ${m.title}`, width: "270px" }, h(Flex, { justify: "space-between", gap: 2, fontSize: "sm" }, h(Text, { fontWeight: "semibold" }, m.title), h(Flex, { gap: 2 }, h(Mark, null, m.departed), h(Text, null, show(m.value)))),
        h(Band, { ...m, show, label: m.title }),
        h(Text, { fontSize: "xs", color: "fg.muted" }, m.low === null ? `not learned yet (${n(m.n)} of 14 loads)` : `usually ${show(m.low)} to ${show(m.high)}, over ${n(m.n)} loads ${m.days}`));
    })) : h(Nothing, null, "The gate has measured nothing."));
}

function Stages({ data }) {
  const most = Math.max(0.001, ...data.stages.map((s) => s.seconds));
  return h(Part, { title: "Time and cost", more: h(Text, { fontSize: "sm" }, `${n(data.tokens)} tokens${data.cost ? `, ${data.cost}` : ""}`) },
    data.stages.length ? data.stages.map((s) => h(Flex, { key: s.stage, gap: 3, fontSize: "sm", align: "center" }, h(Text, { width: "6rem" }, s.stage), h(Box, { height: "8px", bg: "blue.solid", borderRadius: "sm", width: `${(16 * s.seconds) / most}rem`, minW: "2px" }), h(Text, null, span(s.seconds)))) : h(Nothing, null, "No stage has run."));
}

function Actions({ data, again }) {
  const { load, can, rights } = data;
  const parts = [];
  if (can.answer && can.airflow && rights.decide) {
    const task = load.held_for === "budget" ? "batch.budget" : "decide";
    const path = `dags/${encodeURIComponent(can.airflow.dag)}/dagRuns/${encodeURIComponent(can.airflow.run)}/taskInstances/${task}/-1/hitlDetails`;
    const answer = (option) => (because) => airflow("PATCH", path, { chosen_options: [option], params_input: { reason: because } });
    const later = () => setTimeout(again, 1500);
    parts.push(h(Act, { key: "release", name: "Release", title: `Release load ${load.id} of ${load.source}?`, reason: "needed", colour: "green", act: answer("Release"), done: later }, h(Text, null, load.reason), h(Text, { mt: 2 }, "Its run goes on, and what it brings becomes visible.")));
    parts.push(h(Act, { key: "reject", name: "Reject", title: `Reject load ${load.id} of ${load.source}?`, reason: "needed", colour: "red", act: answer("Reject"), done: later }, h(Text, null, load.reason), h(Text, { mt: 2 }, "Nothing of it becomes visible; what is visible now stays.")));
  } else if (can.answer) {
    parts.push(h(Box, { key: "commands" }, h(Command, null, can.answer.release), h(Command, null, can.answer.reject)));
  }
  if (can.roll_back && rights.decide) {
    const plan = can.roll_back;
    parts.push(h(Act, { key: "back", name: "Roll back", title: `Roll load ${load.id} of ${load.source} back?`, reason: "needed", colour: "red", extra: "Hold the source's next load for a person", done: again,
      act: (because, hold) => ask(`loads/${load.id}/rollback`, {}, { because, hold }) },
      h(Text, null, `Documents that leave: ${n(plan.leave)}; that come back: ${n(plan.come_back)}; that have their earlier content again: ${n(plan.earlier)}.`),
      h(Text, { fontSize: "sm", mt: 1 }, plan.keys.join(", ")),
      h(Text, { mt: 2 }, "Who may read them stays as it is now. Without a hold, the next run loads the same again.")));
  }
  return h(Flex, { gap: 2, align: "center", wrap: "wrap" }, ...parts);
}
