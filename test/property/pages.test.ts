/** Whatever reports and requests hold, pages have the tags that their templates have, and no others. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { renderPassages } from '../../server/http/pages/drawing.ts';
import { html } from '../../server/http/pages/html.ts';
import { renderReportPage } from '../../server/http/pages/report-page.ts';
import { assessPunchability } from '../../server/http/punchability.ts';
import type { Verdict } from '../../shared/nat/verdict.ts';
import { readSample } from '../http/app.ts';
import { checkProperty } from './property.ts';

const hostile = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    '<script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    "' onload='alert(1)",
    '</output><svg/onload=alert(1)>',
    '&lt;b&gt;',
    '--><b>',
    '${html}',
  ),
);

/** Tags with their attributes' names, which is what a browser acts on. */
function tagsOf(page: string): string[] {
  return [...page.matchAll(/<[^>]*>/g)].map(([tag]) => tag.replace(/"[^"]*"/g, '""'));
}

it('a template keeps its own tags around any text', () => {
  const page = (text: string): string =>
    html`<p title="${text}">${text}<b>${[text, text]}</b></p>`.toString();
  checkProperty(
    fc.property(hostile, (text) => {
      expect(tagsOf(page(text))).toEqual(tagsOf(page('plain')));
    }),
    2000,
  );
});

it('text comes out of a template as it went in', () => {
  const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };
  checkProperty(
    fc.property(hostile, (text) => {
      const written = html`${text}`.toString();
      expect(written.replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => entities[name]!)).toBe(text);
    }),
    2000,
  );
});

it('what only looks like HTML made here is escaped', () => {
  const forged = { toString: () => '<b>' } as unknown as string;
  expect(html`${forged}`.toString()).not.toContain('<b>');
});

it('drawings keep their tags, whatever the addresses are', () => {
  const verdict: Verdict = {
    type: 'symmetric',
    mapping: 'dependent',
    filtering: 'unknown',
    confidence: 1,
    reasons: [],
  };
  const draw = (address: string): string => {
    const endpoint = { address, port: 1 };
    const passages = {
      out: [{ endpoint, seenAs: endpoint }, { endpoint }],
      in: [
        { endpoint, asked: true, sent: 1, heard: true },
        { endpoint, asked: false, sent: 1, heard: false },
      ],
    };
    return renderPassages(passages, { who: 'machine', verdict })!.toString();
  };
  checkProperty(
    fc.property(hostile, (address) => {
      expect(tagsOf(draw(address))).toEqual(tagsOf(draw('192.0.2.1')));
    }),
    500,
  );
});

it('the page of a report keeps its tags, whatever the report says', () => {
  const sample = readSample('port-restricted-cone');
  const assets = { urlOf: (file: string) => `/assets/${file}` };
  const page = (text: string): string => {
    const endpoints = { local: text, mapped: text };
    const verdict = { ...sample.verdict, reasons: [{ code: text, text }] };
    const families = { ...sample.families, ipv6: { skipped: { code: 'late', text } } } as const;
    return renderReportPage(
      {
        id: text,
        receivedAt: text,
        source: 'probe',
        family: 'ipv4',
        judgeVersion: 1,
        endpointsWitnessed: false,
        claimsFollow: false,
        verdict,
        report: { ...sample, verdict, endpoints, families, startedAt: text },
        punchability: PUNCHABILITY,
      },
      assets,
    );
  };
  checkProperty(
    fc.property(hostile, (text) => {
      expect(tagsOf(page(text))).toEqual(tagsOf(page('plain')));
    }),
    300,
  );
});

const PUNCHABILITY = assessPunchability(readSample('port-restricted-cone'));
