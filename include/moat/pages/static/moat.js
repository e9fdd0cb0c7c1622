// Moat's pages in Airflow. Airflow imports this file and draws the function of the name that it knows the page by.

import { Box, Flex, Go, Heading, Nothing, Shown, Words, h, to, useAddress, useAnswer, useState } from "./ui.js";
import { Home } from "./home.js";
import { Sources } from "./sources.js";
import { Load } from "./load.js";
import { Document, Found } from "./document.js";
import { Quarantine } from "./quarantine.js";
import { Access } from "./access.js";
import { Ask } from "./asking.js";
import { Incident, Incidents } from "./incidents.js";

const VIEWS = { sources: Sources, load: Load, document: Document, found: Found, quarantine: Quarantine, incidents: Incidents, incident: Incident, access: Access, ask: Ask };
const TABS = [["sources", "Sources"], ["quarantine", "Quarantine"], ["incidents", "Incidents"], ["access", "Access"], ["ask", "View as"]];
const Router = globalThis.ReactRouterDOM;

function Find() {
  const [words, setWords] = useState("");
  const go = Router.useNavigate();
  const find = (event) => { event.preventDefault(); if (words.trim().length > 1) go(to("found", { words: words.trim() })); };
  return h("form", { onSubmit: find, role: "search", style: { marginInlineStart: "auto" } },
    h(Words, { label: "Find a document by key or title", value: words, onChange: setWords }));
}

function Pages() {
  const [params] = useAddress();
  const view = params.get("view") || "sources";
  const View = VIEWS[view];
  return h(Box, { p: 4, overflowY: "auto", height: "full", className: "moat-pages" },
    h(Flex, { as: "nav", "aria-label": "Knowledge base", gap: 4, align: "end", mb: 4, wrap: "wrap" },
      h(Heading, { size: "lg", as: "h1" }, "Knowledge base"),
      ...TABS.map(([name, words]) => h(Go, { key: name, view: name, "aria-current": view === name ? "page" : undefined }, words)),
      h(Find)),
    View ? h(View) : h(Nothing, null, "There is no such page."));
}

/** The tab of a run: the load that it makes. */
function OfRun({ dagId, runId }) {
  const answer = useAnswer("loads/of-run", { dag: dagId, run: runId });
  return h(Box, { p: 4, overflowY: "auto", height: "full", className: "moat-pages" }, h(Shown, { answer }, (found) =>
    found.load ? h(Load, { number: found.load }) : h(Nothing, null, "This run has made no load.")));
}

globalThis["Knowledge base"] = Pages;
globalThis["Load"] = OfRun;
globalThis["Knowledge base at a glance"] = Home;
