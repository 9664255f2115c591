/** What runs first: it asks for the portfolio while the page itself is still on its way. */
import { arrive, offered } from "./api/session";
import { Store } from "./state/store";
import { restoreTheme } from "./theme/theme";
import "./theme/tokens.css";
import "./theme/base.css";

restoreTheme();
const { session, offer } = arrive();
const store = session && new Store(session);
store?.begin();
// Another link, pasted over this page, may bring another session.
window.addEventListener("hashchange", () => offered() && location.reload());

import("./show").then(({ show }) => show(store, offer));
