/** HTML by templates: whatever is put into one is escaped, unless a template made it. Pure, for server and page alike. */

/** Text that is safe as HTML: only `html` makes it. */
export class Html {
  readonly #text: string;

  private constructor(text: string) {
    this.#text = text;
  }

  static of(strings: TemplateStringsArray, contents: readonly Content[]): Html {
    return new Html(
      strings.map((part, index) => (index === 0 ? part : write(contents[index - 1]) + part)).join(''),
    );
  }

  toString(): string {
    return this.#text;
  }
}

/** What a template takes; `undefined` and `false` leave nothing. Attributes have to stand in double quotes. */
export type Content = Html | string | number | undefined | false | readonly Content[];

export function html(strings: TemplateStringsArray, ...contents: readonly Content[]): Html {
  return Html.of(strings, contents);
}

function write(content: Content): string {
  if (content === undefined || content === false) return '';
  if (content instanceof Html) return content.toString();
  if (Array.isArray(content)) return content.map(write).join('');
  return escape(String(content));
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character]!);
}
