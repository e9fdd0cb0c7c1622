// How old what is known of people is, what waits for a person, what is widest, and what let somebody in.

import { Act, Box, Command, Flex, Mark, Part, Rows, Shown, Text, When, airflow, h, n, useAnswer } from "./ui.js";

export function Access() {
  const answer = useAnswer("access", {});
  return h(Shown, { answer }, (data) => h(Box, null,
    h(Part, { title: "Waits for a person" }, h(Rows, { rows: data.holds, label: "held changes of access", empty: "No change of access waits.", keyOf: (r) => r.id, columns: [
      { name: "hold", cell: (r) => r.id }, { name: "of", cell: (r) => `${r.kind} of ${r.subject}` }, { name: "since", cell: (r) => h(When, { at: r.opened_at }) }, { name: "why", wide: true, cell: (r) => r.reason },
      { name: " ", cell: (r) => (data.decides ? h(Decide, { hold: r, done: () => setTimeout(answer.again, 1500) }) : h(Command, null, `moat access release ${r.id}`)) }] })),
    h(Part, { title: "Directories of people" }, h(Rows, { rows: data.directories, label: "directories", empty: "No directory is synced.", keyOf: (r) => r.name, columns: [
      { name: "directory", cell: (r) => r.name }, { name: "state", cell: (r) => h(Mark, { colour: r.old || r.failed_at ? "red" : "green" }, r.old ? "too old" : r.failed_at ? "cannot be read" : "ok") }, { name: "read", cell: (r) => h(When, { at: r.read_at }) },
      { name: "allowed", cell: (r) => (r.allowed_hours === null ? "kept by hand" : `${n(r.allowed_hours)} hours`) }, { name: "groups", right: true, cell: (r) => n(r.groups) }, { name: "memberships", right: true, cell: (r) => n(r.memberships) }, { name: "error", wide: true, cell: (r) => r.error }] })),
    h(Part, { title: "Access of each source" }, h(Rows, { rows: data.sources, label: "sources", empty: "No source is loaded yet.", keyOf: (r) => r.source, columns: [
      { name: "source", cell: (r) => r.source }, { name: "state", cell: (r) => h(Mark, { colour: r.failed_at ? "red" : r.read_at ? "green" : "gray" }, r.failed_at ? "cannot be read" : r.read_at ? "ok" : "not read apart yet") }, { name: "read", cell: (r) => h(When, { at: r.read_at }) }, { name: "masked from", cell: (r) => h(When, { at: r.masked_from }) }, { name: "error", wide: true, cell: (r) => r.error }] })),
    h(Part, { title: "Widest documents" }, h(Rows, { rows: data.widest, label: "widest documents", empty: "Nothing is visible.", columns: [
      { name: "readers", wide: true, cell: (r) => r.readers }, { name: "source", cell: (r) => r.source }, { name: "documents", right: true, cell: (r) => n(r.documents) }] })),
    h(Part, { title: "What let somebody in lately" }, h(Rows, { rows: data.passes, label: "passes", empty: "Nothing has let anybody in.", keyOf: (r) => r.id, columns: [
      { name: "pass", cell: (r) => r.id }, { name: "of", cell: (r) => (r.kind === "directory" ? `directory ${r.of}` : r.of) }, { name: "at", cell: (r) => h(When, { at: r.at }) }, { name: "by", cell: (r) => r.by }, { name: "let in", right: true, cell: (r) => `${n(r.n)} ${r.kind === "directory" ? "members" : "documents"}` },
      { name: "taken back", cell: (r) => (r.reverted_at ? h(When, { at: r.reverted_at }) : h(Command, null, `moat access revert ${r.id}`)) }] }))));
}

function Decide({ hold, done }) {
  const path = `dags/held_access/dagRuns/${encodeURIComponent(hold.run)}/taskInstances/decide/-1/hitlDetails`;
  const answer = (option) => (because) => airflow("PATCH", path, { chosen_options: [option], params_input: { reason: because } });
  const said = h(Text, { whiteSpace: "pre-wrap" }, hold.report.replaceAll("**", "").replaceAll("`", ""));
  return h(Flex, { gap: 2 },
    h(Act, { name: "Release", title: `Release hold ${hold.id}?`, reason: "needed", colour: "green", act: answer("Release"), done }, said),
    h(Act, { name: "Reject", title: `Reject hold ${hold.id}?`, reason: "needed", colour: "red", act: answer("Reject"), done }, said));
}
