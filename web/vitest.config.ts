import { defineConfig } from "vitest/config";

// Not the page's own configuration: its development server has no part in tests.
export default defineConfig({ test: { include: ["{src,fixtures}/**/*.test.ts"] } });
