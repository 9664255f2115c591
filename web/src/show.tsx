import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import type { Offer } from "./api/session";
import type { Store } from "./state/store";

/** Draws the page in its place in the document. */
export function show(store: Store | null, offer: Offer | null): void {
  const root = document.getElementById("root");
  if (root)
    createRoot(root).render(
      <StrictMode>
        <App begun={store} offer={offer} />
      </StrictMode>,
    );
}
