/** The status page; a first form. */
import type { StatusView } from "../model.ts";
import type { Answer } from "./wire.ts";

/** Renders the page. */
export function renderPage(view: StatusView): Promise<Answer> {
  return Promise.resolve({
    status: 200,
    type: "text/html; charset=utf-8",
    body: `<!doctype html><title>${view.inSync}</title>`,
  });
}
