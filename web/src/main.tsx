import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { openSession, takeToken } from "./api/session";
import { StoreContext } from "./state/hooks";
import { Store } from "./state/store";
import { restoreTheme } from "./theme/theme";
import "./theme/tokens.css";
import "./theme/base.css";

restoreTheme();
takeToken();
// Another token, pasted over this page, is another session.
window.addEventListener("hashchange", () => takeToken() && location.reload());

const session = openSession();
const store = session && new Store(session);
const root = document.getElementById("root");
if (root)
  createRoot(root).render(
    <StrictMode>
      <StoreContext value={store}>
        <App />
      </StoreContext>
    </StrictMode>,
  );
