/** What a browser has and jsdom lacks, as far as the page needs it. Layout is the browser tests' subject. */
import "@testing-library/jest-dom/vitest";
import { cleanup, configure } from "@testing-library/react";
import { afterEach } from "vitest";

// How long a busy machine may take. Whether an element is hidden is what layout decides, and dear to work out here.
configure({ asyncUtilTimeout: 15_000, defaultHidden: true });
afterEach(cleanup);

// As high as in the browser tests, so that the whole of an ordinary portfolio is in sight.
window.innerHeight = 2_400;

globalThis.ResizeObserver ??= class {
  observe() {}
  unobserve() {}
  disconnect() {}
};

globalThis.CSS ??= {} as typeof CSS;
CSS.escape ??= (text) => text.replace(/[^\w-]/g, (character) => `\\${character}`);

window.scrollTo = ((to: ScrollToOptions | number, y?: number) => {
  const top = typeof to === "number" ? (y ?? 0) : (to.top ?? 0);
  Object.defineProperty(window, "scrollY", { value: top, configurable: true });
  window.dispatchEvent(new Event("scroll"));
}) as typeof window.scrollTo;

HTMLDialogElement.prototype.showModal ??= function (this: HTMLDialogElement) {
  this.open = true;
};
HTMLDialogElement.prototype.close ??= function (this: HTMLDialogElement) {
  this.open = false;
  this.dispatchEvent(new Event("close"));
};
