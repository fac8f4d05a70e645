/** What a browser shows in place of a problem document. */
import type { Problem } from '../problem.ts';
import type { AssetUrls } from '../web-assets.ts';
import { renderDocument } from './document.ts';
import { html } from './html.ts';

export function renderProblemPage(
  { status, title, code, detail, remedy }: Problem,
  assets: AssetUrls,
): string {
  return renderDocument({
    title: `${title} – natprobe`,
    assets,
    isPrivate: true,
    main: html`
      <h1>${title}</h1>
      <section class="card" data-state="bad" aria-label="What is wrong">
        <p>${sentence(detail)}</p>
        <p>${sentence(remedy)}</p>
        <p class="faint">${status}, <code>${code}</code></p>
      </section>
      <p><a href="/">Measure the NAT in front of this browser</a></p>
    `,
  });
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
