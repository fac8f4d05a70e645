/** The line in so many columns, with all of its colours: those that are switched on there are off at its end. */
export function cutLine(line: string, columns: number): string {
  let shown = 0;
  return line.replace(/(\u001b\[[\d;]*m)|[^]/gu, (part, code: string | undefined) => {
    if (code !== undefined) return code;
    shown++;
    return shown <= columns ? part : '';
  });
}
