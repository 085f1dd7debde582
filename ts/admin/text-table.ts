/**
 * Rows in columns for people. With a width to fit, columns that may shrink do so, cut in the middle where names differ
 * least; when that is not enough, the least important columns are left out. Nothing wraps.
 */
export interface Column {
  readonly title: string;
  readonly right?: boolean;
  /** May be cut to so many characters. */
  readonly widthMin?: number;
  /** Higher goes first when there is no room; absent: stays. */
  readonly dropOrder?: number;
}

const gap = 2;

/** @param width characters of a line, null: as wide as need be. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[], width: number | null) {
  const kept = columns.map((column, index) => ({
    column,
    index,
    width: Math.max(column.title.length, ...rows.map((row) => row[index]?.length ?? 0)),
  }));
  const total = () => kept.reduce((sum, { width }) => sum + width + gap, -gap);
  while (width !== null && total() > width) {
    if (shrink(kept, total() - width)) break;
    const drop = kept.reduce((worst, at) => ((at.column.dropOrder ?? 0) > (worst.column.dropOrder ?? 0) ? at : worst));
    if (drop.column.dropOrder === undefined) break;
    kept.splice(kept.indexOf(drop), 1);
  }
  const line = (cells: readonly string[]) =>
    kept
      .map(({ column, index, width }) => {
        const text = shorten(cells[index] ?? '', width);
        return column.right === true ? text.padStart(width) : text.padEnd(width);
      })
      .join(' '.repeat(gap))
      .trimEnd();
  return [line(columns.map((column) => column.title)), ...rows.map(line)];
}

/** Takes `excess` characters from columns that may shrink, widest first; false, and nothing changed, when they cannot. */
function shrink(kept: { column: Column; width: number }[], excess: number): boolean {
  const room = kept.map(({ column, width }) => Math.max(0, width - (column.widthMin ?? width)));
  if (room.reduce((sum, part) => sum + part, 0) < excess) return false;
  for (let left = excess; left > 0; left--) {
    let widest = -1;
    kept.forEach(({ width, column }, at) => {
      if (width > (column.widthMin ?? width) && (widest < 0 || width > (kept[widest]?.width ?? 0))) widest = at;
    });
    const at = kept[widest];
    if (at === undefined) return false;
    at.width -= 1;
  }
  return true;
}

/** Cut in the middle: uuids of one volume group begin alike, paths too. */
export function shorten(text: string, width: number): string {
  if (text.length <= width) return text;
  if (width <= 2) return text.slice(0, width);
  const tail = Math.ceil((width - 2) / 2);
  return `${text.slice(0, width - 2 - tail)}..${text.slice(text.length - tail)}`;
}
