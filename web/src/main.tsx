import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { offered, takeOffer } from "./api/session";
import { restoreTheme } from "./theme/theme";
import "./theme/tokens.css";
import "./theme/base.css";

restoreTheme();
const offer = takeOffer();
// Another link, pasted over this page, may bring another session.
window.addEventListener("hashchange", () => offered() && location.reload());

const root = document.getElementById("root");
if (root)
  createRoot(root).render(
    <StrictMode>
      <App offer={offer} />
    </StrictMode>,
  );
