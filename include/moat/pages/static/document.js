// One document: its story, who may read it, and its text for those who may read every text.

import { Act, Box, Button, DocumentLink, Facts, Flex, Heading, LoadLink, Mark, Nothing, Part, Rows, Shown, Text, When, ask, h, n, useAddress, useAnswer, useState } from "./ui.js";

export function Found() {
  const [params] = useAddress();
  const answer = useAnswer("documents", { words: params.get("words") || "", source: params.get("source") });
  return h(Part, { title: `Documents with “${params.get("words") || ""}” in their key or title` }, h(Shown, { answer }, (found) =>
    h(Rows, { rows: found.documents, label: "documents", empty: "No document that you may see is like this.", keyOf: (r) => `${r.source}/${r.key}`, columns: [
      { name: "title", cell: (r) => r.title }, { name: "document", cell: (r) => h(DocumentLink, { source: r.source, id: r.key }) }, { name: "source", cell: (r) => r.source }, { name: "chunks", right: true, cell: (r) => n(r.chunks) }] })));
}

export function Document() {
  const [params, set] = useAddress();
  const source = params.get("source") || "", key = params.get("key") || "";
  const answer = useAnswer("document", { source, key });
  return h(Shown, { answer }, (data) => h(Box, null,
    h(Flex, { gap: 3, align: "center", wrap: "wrap" }, h(Heading, { size: "md", as: "h2", style: { unicodeBidi: "plaintext" } }, data.title || data.key), h(Mark, null, data.quarantine && data.quarantine.state !== "resolved" ? "set aside" : ""),
      data.quarantine && data.quarantine.state === "set aside" && data.rights.trigger && h(Replay, { source, id: key, done: answer.again })),
    h(Text, { color: "fg.muted", mb: 3, overflowWrap: "anywhere", style: { unicodeBidi: "plaintext" } }, `${data.source}: ${data.key}`),
    h(Part, { title: "Now" }, h(Facts, { rows: [["state", data.state], ["kind", data.media_type], ["visible chunks", data.chunks ? `${n(data.chunks)}, ${n(data.tokens)} tokens` : ""], ["opens at", /^https?:\/\//.test(data.link || "") && h("a", { href: data.link, rel: "noreferrer noopener", target: "_blank", style: { textDecoration: "underline" } }, data.link)], ["answered from it", data.read_by],
      ["words", data.words && data.words.n ? `${n(data.words.n - data.words.missing)} of ${n(data.words.n)} are in its chunks or left out by a rule` : ""]] })),
    h(Access, { data }),
    data.quarantine && h(Part, { title: data.quarantine.state === "resolved" ? "Was in quarantine" : "In quarantine" }, h(Facts, { rows: [["why", `${data.quarantine.error}: ${data.quarantine.reason}`], ["stage", data.quarantine.stage], ["attempts", data.quarantine.attempts], ["in", h(LoadLink, { id: data.quarantine.load })], ["rests", data.quarantine.until], ["way out", data.quarantine.way]] })),
    h(Part, { title: "What happened to it" }, h(Rows, { rows: data.timeline, label: "timeline", empty: "Nothing yet.", columns: [
      { name: "when", cell: (r) => h(When, { at: r.at }) }, { name: "what", cell: (r) => r.what }, { name: "in", cell: (r) => h(LoadLink, { id: r.load }) }, { name: "", wide: true, cell: (r) => r.more }] })),
    h(TextPart, { data, open: params.get("text") || "", show: (text) => set({ text }) })));
}

export function Replay({ source, id, done }) {
  return h(Act, { name: "Replay", title: "Try it again?", done, act: () => ask("quarantine/replay", {}, { source, key: id }) },
    h(Text, { overflowWrap: "anywhere" }, `${id} is read again at the next run of ${source}, although it has not changed.`));
}

function Access({ data }) {
  return h(Part, { title: "Who may read it" }, h(Text, { mb: 2 }, data.access),
    data.layers && data.layers.length > 1 && h("ol", { style: { paddingInlineStart: "1.4rem", listStyle: "decimal" } }, ...data.layers.map((layer, at) => h("li", { key: at }, layer.length ? `any of ${layer.join(", ")}` : "nobody"))),
    data.layers && data.layers.length > 1 && h(Text, { fontSize: "sm", color: "fg.muted" }, "Every layer has to let somebody in."),
    data.deny.length > 0 && h(Text, { mt: 1 }, `never: ${data.deny.join(", ")}`));
}

function TextPart({ data, open, show }) {
  if (!data.rights.text) return h(Part, { title: "Text" }, h(Nothing, null, "Shown to those who hold the permission moat_read_text."));
  const button = (value, words) => open !== value && h(Button, { key: value, size: "sm", variant: "outline", onClick: () => show(value) }, words);
  return h(Part, { title: open === "changes" ? "Text, in two versions" : "Text, as it was cut into chunks" },
    h(Flex, { gap: 3, mb: 3, align: "center", wrap: "wrap" }, button("1", "Show the text"), button("changes", "Show what changed"),
      !open && h(Text, { fontSize: "sm", color: "fg.muted" }, "That you look is written into the audit, with your name.")),
    open === "1" && h(Chunks, { source: data.source, id: data.key }), open === "changes" && h(Changes, { source: data.source, id: data.key }));
}

const REDACTED = /(\[redacted: [^\]\n]*\])/;

/** Text of a document, with what was redacted marked. */
const Passage = ({ children }) => children.split(REDACTED).map((words, at) => (at % 2 ? h("mark", { key: at, title: "taken out before anything was cut or embedded", style: { background: "#fde68a", color: "#713f12", borderRadius: "3px", padding: "0 3px" } }, words) : words));

function Head({ position, heading, page, children }) {
  return h(Flex, { gap: 3, px: 3, py: 1, bg: "bg.subtle", fontSize: "xs", color: "fg.muted", wrap: "wrap" }, h(Text, { fontWeight: "semibold" }, `${position + 1}`), h(Text, { style: { unicodeBidi: "plaintext" } }, heading), page && h(Text, null, `page ${page}`), children);
}

const WORDS = { px: 3, py: 2, whiteSpace: "pre-wrap", overflowWrap: "anywhere", fontSize: "sm", style: { unicodeBidi: "plaintext" }, dir: "auto" };

function Chunks({ source, id }) {
  const [after, setAfter] = useState(-1);
  const answer = useAnswer("document/text", { source, key: id, after });
  return h(Shown, { answer }, (found) => found.parts.length ? h(Box, null, ...found.parts.map((one) => h(Box, { key: one.id, borderWidth: "1px", borderRadius: "md", mb: 2, overflow: "hidden" },
    h(Head, one, h(Text, null, `${n(one.n_tokens)} tokens`), h(Text, null, one.kind), h(LoadLink, { id: one.added_in })),
    h(Box, WORDS, h(Passage, null, one.text)))),
    found.more !== null && h(Button, { size: "sm", variant: "outline", onClick: () => setAfter(found.more) }, "Next chunks")) : h(Nothing, null, "No chunk of it is visible now."));
}

/** The chunks in which two versions differ, side by side, with the words that differ marked. */
function Changes({ source, id }) {
  const answer = useAnswer("document/changes", { source, key: id });
  return h(Shown, { answer }, (found) => h(Box, null,
    found.load && h(Text, { mb: 2 }, found.state === "promoted" ? "Before and since " : "Visible now, and as it will be after ", h(LoadLink, { id: found.load }), ` (${found.state}). ${found.same === 1 ? "1 chunk is" : `${n(found.same)} chunks are`} the same.`),
    found.why && h(Nothing, null, `${found.why[0].toUpperCase()}${found.why.slice(1)}.`),
    ...found.pairs.map((pair, at) => h(Box, { key: at, display: "grid", gridTemplateColumns: { base: "1fr", md: "1fr 1fr" }, gap: 2, mb: 2 },
      h(Side, { one: pair.before, colour: "#fecaca", ink: "#7f1d1d", none: "not there before" }), h(Side, { one: pair.after, colour: "#bbf7d0", ink: "#14532d", none: "not there any more" }))),
    found.left_off > 0 && h(Text, { color: "fg.muted" }, `${n(found.left_off)} more chunks differ.`)));
}

function Side({ one, colour, ink, none }) {
  if (!one) return h(Box, { borderWidth: "1px", borderStyle: "dashed", borderRadius: "md", px: 3, py: 2, color: "fg.muted", fontSize: "sm" }, none);
  return h(Box, { borderWidth: "1px", borderRadius: "md", overflow: "hidden" }, h(Head, one),
    h(Box, WORDS, ...one.runs.flatMap(([same, words], at) => [at ? " " : "", same ? h(Passage, { key: at }, words) : h("mark", { key: at, style: { background: colour, color: ink, borderRadius: "3px" } }, words)])));
}
