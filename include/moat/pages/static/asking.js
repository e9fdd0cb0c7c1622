// Ask as somebody else: what they find and by which rule, and what a second person finds that they do not.

import { Box, Button, DocumentLink, Flex, Mark, Nothing, Part, Pick, Shown, Text, Told, Words, ask, h, useAddress, useAnswer, useState } from "./ui.js";

const MODES = [["hybrid", "hybrid"], ["vector", "vector"], ["keyword", "keyword"]];

export function Ask() {
  const me = useAnswer("me", {});
  return h(Shown, { answer: me }, (who) => (who.ask ? h(Form) : h(Nothing, null, "Asking as somebody else is for those who hold the permission moat_view_as.")));
}

function Form() {
  const [params, set] = useAddress();
  const [found, setFound] = useState({}), [busy, setBusy] = useState(false);
  const value = (name) => params.get(name) || "";
  const send = async (event, path, body) => {
    event.preventDefault(); setBusy(true);
    try { setFound({ [path]: await ask(path, {}, body) }); } catch (e) { setFound({ error: e.message }); } finally { setBusy(false); }
  };
  const field = (name, label, width) => h(Words, { label, width, value: value(name), onChange: (v) => set({ [name]: v }) });
  return h(Box, null,
    h(Text, { mb: 3, fontSize: "sm", color: "fg.muted" }, "That you ask as somebody else is written into the audit, with your name and theirs, without the question."),
    h("form", { onSubmit: (e) => send(e, "ask", { asker: value("asker"), other: value("other"), question: value("question"), mode: value("mode") || "hybrid" }) },
      h(Flex, { gap: 4, align: "end", wrap: "wrap" }, field("asker", "As, such as user:ann@example.com"), field("other", "Beside, to compare"), field("question", "Question", "24rem"),
        h(Pick, { label: "Mode", value: value("mode") || "hybrid", choices: MODES, onChange: (v) => set({ mode: v }) }),
        h(Button, { type: "submit", size: "sm", loading: busy, disabled: !value("asker") || !value("question") }, "Ask"))),
    h("form", { onSubmit: (e) => send(e, "why", { asker: value("asker"), source: value("source"), key: value("key") }), style: { marginTop: "0.8rem" } },
      h(Flex, { gap: 4, align: "end", wrap: "wrap" }, field("source", "Why a document of source"), field("key", "with the key", "24rem"),
        h(Button, { type: "submit", size: "sm", variant: "outline", loading: busy, disabled: !value("asker") || !value("source") || !value("key") }, "is or is not for them"))),
    found.error && h(Told, { error: found.error }),
    found.why && h(Part, { title: `${found.why.asker} and ${found.why.key}`, mt: 5 }, h(Rule, { rule: found.why })),
    found.ask && h(Flex, { gap: 8, mt: 5, align: "start", wrap: "wrap" }, ...found.ask.askers.map((one) => h(Found, { key: one.asker, one }))));
}

function Found({ one }) {
  const hidden = one.missing.filter((rule) => !rule.readable), lower = one.missing.filter((rule) => rule.readable);
  return h(Part, { title: `As ${one.asker}`, flex: "1 1 26rem", minW: "22rem" },
    one.refused && h(Told, { error: one.refused }),
    one.not_shown > 0 && h(Text, { fontSize: "sm" }, `${one.not_shown} hits are of sources that you may not see.`),
    !one.refused && !one.hits.length && h(Nothing, null, "They find nothing that answers it."),
    hidden.length > 0 && h(Box, { mb: 4, ps: 3, borderInlineStartWidth: "3px", borderColor: "red.solid" }, h(Text, { fontWeight: "semibold", mb: 2 }, `Hidden from them: ${hidden.length} that the other one finds`), ...hidden.map((rule) => h(Missing, { key: `${rule.source}/${rule.key}`, rule }))),
    lower.length > 0 && h(Box, { mb: 4, fontSize: "sm" }, h(Text, { fontWeight: "semibold", mb: 1 }, "The other one finds these too; they may read them, and others answer better"), ...lower.map((rule) => h(Box, { key: `${rule.source}/${rule.key}` }, h(DocumentLink, { source: rule.source, id: rule.key })))),
    ...one.hits.map((hit, at) => h(Box, { key: at, borderWidth: "1px", borderRadius: "md", p: 3, mb: 3 },
      h(Flex, { gap: 3, justify: "space-between" }, h(DocumentLink, { source: hit.source, id: hit.key }, hit.title || hit.key), h(Text, { fontSize: "sm" }, hit.score.toFixed(3))),
      h(Text, { fontSize: "xs", color: "fg.muted", style: { unicodeBidi: "plaintext" } }, `${hit.source}: ${hit.key}${hit.heading ? ` · ${hit.heading}` : ""}${hit.page ? ` · page ${hit.page}` : ""}`),
      h(Text, { fontSize: "sm", mt: 2, whiteSpace: "pre-wrap", overflowWrap: "anywhere", dir: "auto", style: { maxHeight: "9rem", overflow: "auto" }, tabIndex: 0 }, hit.text),
      h(Text, { fontSize: "xs", mt: 2 }, `let in: ${hit.by}`))));
}

const Missing = ({ rule }) => h(Box, { mb: 3 }, h(DocumentLink, { source: rule.source, id: rule.key }), h(Rule, { rule }));

function Rule({ rule }) {
  return h(Box, { fontSize: "sm" },
    h(Flex, { gap: 2, align: "center", wrap: "wrap" }, h(Mark, { colour: rule.readable ? "green" : "red" }, rule.readable ? "may read it" : "may not read it"), h(Text, null, rule.reason)),
    h(Text, { color: "fg.muted" }, rule.state),
    h("ol", { style: { paddingInlineStart: "1.4rem", listStyle: "decimal" } }, ...rule.layers.map((layer, at) => h("li", { key: at }, `any of ${layer.any_of.join(", ") || "nobody"}: ${layer.by.join("; ") || "they are none of these"}`))),
    ...rule.deny.map((chain) => h(Text, { key: chain }, `denied: ${chain}`)));
}
