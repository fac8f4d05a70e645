import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { parseExposition } from '../../../../server/top/exposition.ts';

/** Name, labels and value of each. */
function parse(text: string): unknown[] | undefined {
  return parseExposition(text)?.map(({ name, labels, value }) => [name, Object.fromEntries(labels), value]);
}

describe('the text format', () => {
  it('is read as it is specified', () => {
    const text = [
      '# HELP http_requests_total The total number of HTTP requests.',
      '# TYPE http_requests_total counter',
      'http_requests_total{method="post",code="200"} 1027 1395066363000',
      'http_requests_total{ method = "post" , code = "400" , }\t3 -62135596800000',
      '',
      '  # Escaping, minimalistic lines, weird ones:',
      'msdos_file{path="C:\\\\DIR\\\\FILE.TXT",error="Cannot find \\"it\\":\\n}"} 1.458255915e9',
      'metric_without_timestamp_and_labels 12.47\r',
      'a:b{} .5',
      'nothing{of="it"}NaN',
      'up +Inf',
      'down -inf',
    ].join('\n');
    expect(parse(text)).toEqual([
      ['http_requests_total', { method: 'post', code: '200' }, 1027],
      ['http_requests_total', { method: 'post', code: '400' }, 3],
      ['msdos_file', { path: 'C:\\DIR\\FILE.TXT', error: 'Cannot find "it":\n}' }, 1458255915],
      ['metric_without_timestamp_and_labels', {}, 12.47],
      ['a:b', {}, 0.5],
      ['nothing', { of: 'it' }, NaN],
      ['up', {}, Infinity],
      ['down', {}, -Infinity],
    ]);
  });

  it.each([
    '<html>',
    '{"status":"ok"}',
    'a',
    'a b',
    'a 1 2 3',
    'a 1 soon',
    'a 0x10',
    '1a 1',
    'a-b 1',
    'a"1"',
    'a{b="c" 1',
    'a{b=c} 1',
    'a{b="c"',
    'a{b="c}',
    'a{b="c";d="e"} 1',
    'a{b="c",b="d"} 1',
    'a{,} 1',
    'a{b="c"}',
  ])('is not %j', (line) => {
    expect(parse(`up 1\n${line}\n`)).toBeUndefined();
  });

  it('is read as prom-client writes it', async () => {
    const registers = [new Registry()];
    new Counter({ name: 'c_total', help: 'a\nb\\', labelNames: ['l'], registers }).inc({ l: 'x"\\\n,}' }, 7);
    new Gauge({ name: 'g', help: 'g', registers }).set(-1.5e-9);
    new Histogram({ name: 'h', help: 'h', buckets: [1], registers }).observe(3);
    expect(parse(await registers[0]!.metrics())).toEqual([
      ['c_total', { l: 'x"\\\n,}' }, 7],
      ['g', {}, -1.5e-9],
      ['h_bucket', { le: '1' }, 0],
      ['h_bucket', { le: '+Inf' }, 1],
      ['h_sum', {}, 3],
      ['h_count', {}, 1],
    ]);
  });
});
