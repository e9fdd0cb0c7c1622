// How old what is known of people is, what waits for a person, what is widest, and what let somebody in.

import { Act, Box, Button, Command, Flex, Go, Mark, Nothing, Part, Rows, Shown, Text, When, Words, airflow, h, n, useAddress, useAnswer, useState } from "./ui.js";

export function Access() {
  const answer = useAnswer("access", {});
  return h(Shown, { answer }, (data) => h(Box, null,
    data.looks && h(Look),
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

/** One group or person: who is in it, and what it is in. */
function Look() {
  const [params, set] = useAddress();
  const name = params.get("of") || "";
  const [words, setWords] = useState(name);
  const look = (event) => { event.preventDefault(); set({ of: words.trim() }); };
  return h(Part, { title: "A group or a person" },
    h("form", { onSubmit: look }, h(Flex, { gap: 3, align: "end", wrap: "wrap" }, h(Words, { label: "Name, or a part of it", value: words, onChange: setWords }), h(Button, { size: "sm", variant: "outline", type: "submit" }, "Look"), h(Text, { fontSize: "sm", color: "fg.muted" }, "That you look is written into the audit, with your name."))),
    name.length > 1 && h(Principal, { key: name, name }));
}

const Named = ({ name }) => h(Go, { view: "access", given: { of: name } }, name);

function Principal({ name }) {
  const answer = useAnswer("principal", { words: name });
  return h(Box, { mt: 3 }, h(Shown, { answer }, (found) => {
    if (!found.name) return found.like.length ? h(Flex, { gap: 3, wrap: "wrap", fontSize: "sm" }, ...found.like.map((one) => h(Named, { key: one, name: one }))) : h(Nothing, null, `No directory names ${name}.`);
    const columns = [{ name: "name", cell: (r) => h(Named, { name: r.name }) }, { name: "directory", cell: (r) => r.directory }];
    const people = found.people === null ? "more than 10,000" : n(found.people);
    return h(Box, null, h(Text, { fontWeight: "semibold", mb: 2 }, found.name),
      found.n_members > 0 && h(Box, { mb: 4 }, h(Text, { fontSize: "sm", mb: 1 }, `${n(found.n_members)} direct members, ${people} people with those of groups inside it`), h(Rows, { rows: found.members, label: "members", empty: "", columns, keyOf: (r) => `${r.name} ${r.directory}` }), found.n_members > found.members.length && h(Text, { fontSize: "sm", color: "fg.muted" }, `the first ${n(found.members.length)} by name`)),
      found.groups.length > 0 ? h(Box, null, h(Text, { fontSize: "sm", mb: 1 }, "is in"), h(Rows, { rows: found.groups, label: "groups", empty: "", columns, keyOf: (r) => `${r.name} ${r.directory}` })) : h(Text, { fontSize: "sm", color: "fg.muted" }, "is in no group"));
  }));
}

function Decide({ hold, done }) {
  const path = `dags/held_access/dagRuns/${encodeURIComponent(hold.run)}/taskInstances/decide/-1/hitlDetails`;
  const answer = (option) => (because) => airflow("PATCH", path, { chosen_options: [option], params_input: { reason: because } });
  const said = h(Text, { whiteSpace: "pre-wrap" }, hold.report.replaceAll("**", "").replaceAll("`", ""));
  return h(Flex, { gap: 2 },
    h(Act, { name: "Release", title: `Release hold ${hold.id}?`, reason: "needed", colour: "green", act: answer("Release"), done }, said),
    h(Act, { name: "Reject", title: `Reject hold ${hold.id}?`, reason: "needed", colour: "red", act: answer("Reject"), done }, said));
}
