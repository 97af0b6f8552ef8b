/** Entry point: opens the journal, then mounts the app. */

import { mount } from "svelte"
import "./fonts.css"
import "./app.css"
import App from "./components/App.svelte"
import { Desk } from "./stores/desk.svelte.ts"
import { ThemeChoice } from "./stores/theme.svelte.ts"
import { openJournal } from "./sync/journal.ts"

const target = document.getElementById("app")
const nonce = document.querySelector<HTMLMetaElement>('meta[name="style-nonce"]')?.content
if (!target || nonce === undefined) throw new Error("The page has no #app element or no style-nonce.")

const desk = new Desk(await openJournal(), nonce)
mount(App, { target, props: { desk, theme: new ThemeChoice() } })
