/** What all pages have around them. */
import { VERSION } from '../../../shared/version.ts';
import type { AssetUrls } from '../web-assets.ts';
import { html, type Html } from './html.ts';

export interface DocumentOptions {
  readonly title: string;
  readonly assets: AssetUrls;
  /** Of the scripts, by source. */
  readonly script?: 'page.js' | 'stats.js';
  /** Which entry of the navigation this page is. */
  readonly place?: keyof typeof PLACES;
  /** Kept out of search engines. */
  readonly isPrivate?: boolean;
  readonly main: Html;
}

const PLACES = { '/': 'This browser', '/stats': 'Statistics', '/docs': 'HTTP API' } as const;

export function renderDocument(options: DocumentOptions): string {
  const { title, assets, script, place, isPrivate = false, main } = options;
  const page = html`<html lang="en">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <title>${title}</title>
      ${isPrivate && html`<meta name="robots" content="noindex" />`}
      <link rel="icon" type="image/svg+xml" href="${assets.urlOf('icon.svg')}" />
      <link rel="stylesheet" href="${assets.urlOf('page.css')}" />
      ${script !== undefined && html`<script type="module" src="${assets.urlOf(script)}"></script>`}
    </head>
    <body>
      <a class="skip" href="#main">Skip to the content</a>
      <header>
        <a class="brand" href="/"><span aria-hidden="true">⇄</span> natprobe</a>
        <nav aria-label="Pages">
          ${Object.entries(PLACES).map(([href, name]) =>
            href === place
              ? html`<a href="${href}" aria-current="page">${name}</a>`
              : html`<a href="${href}">${name}</a>`,
          )}
        </nav>
      </header>
      <main id="main" tabindex="-1">${main}</main>
      <footer>
        <p>natprobed ${VERSION}. Nothing on this page comes from another host.</p>
      </footer>
    </body>
  </html>`;
  return `<!doctype html>\n${page.toString()}\n`;
}
