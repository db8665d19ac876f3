
// How tracking numbers are read from a text that somebody typed or pasted.

/** Runs of words of one text that are tried, at most. */
const RUNS_MAX = 20000;
/** Parts of one address that are tried, at most. */
const PARTS_MAX = 30;
/** No carrier has longer numbers: words are put together up to this length. */
const JOINED_MAX = 40;

/*
 * How a text is read. Commas, semicolons and lines separate numbers; a blank may separate two or stand within one, as
 * may dashes. So every run of neighbouring words is a reading, as typed and without blanks and dashes, and the server
 * is asked for all of them at once. What it knows decides:
 *
 * 1. A line that is a number as typed is that number, whatever stands in it.
 * 2. Else its words are grouped so that the fewest are left over; then so that the fewest blanks and dashes have to be
 *    dropped, since as typed comes first; then into the fewest numbers.
 * 3. Words left over side by side are one unknown number (`00340 4341-6109 4938`), unless each looks like a whole one.
 *    Words without a digit before them are none of it.
 *
 * What stands around a number (`#TN1.`) may be dropped as blanks are, and an address may have it in one of its parts.
 */
const linesOf = (text) => text.split(/[\r\n]+/).map((line) => line.trim()).filter((line) => bare(line.replace(/[,;]/g, "")));

/** The pieces of a line, each a list of words that know where they stand. */
function piecesOf(line) {
  const pieces = line.split(/[,;]/).map((text) => ({ text, words: [...text.matchAll(/\S+/g)] }));
  return pieces.filter((piece) => piece.words.length);
}

const between = (piece, start, end) => piece.text.slice(piece.words[start].index, piece.words[end - 1].index + piece.words[end - 1][0].length);

/** The runs of words that end before `end`, shortest first, with their readings. */
function* runsBefore(piece, end) {
  for (let start = end - 1; start >= 0; start--) {
    const typed = between(piece, start, end);
    const joined = bare(typed);
    if (joined.length > JOINED_MAX && start < end - 1) return;
    const plain = joined.replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, "");
    yield { start, readings: [...new Set([typed, joined, plain, ...(start === end - 1 ? partsOf(typed) : [])])].filter(Boolean) };
  }
}

/** What stands in an address: the segments of its path and the values of its parameters. */
function partsOf(word) {
  if (!/^(https?:\/\/|www\.)/i.test(word)) return [];
  const decoded = (part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  };
  return word.split(/[/?#&=]+/).slice(1, PARTS_MAX).map(decoded);
}

/** Whether a word that nobody knows looks like a whole number rather than a group of one. */
const isWhole = (word) => word.length >= 8 || (word.length >= 4 && /\p{L}/u.test(word) && /\d/.test(word));

/** Of words in a row that may be one number or several. */
const apart = (piece, start, end) => piece.words.slice(start, end).every(([word]) => isWhole(word));

/** How many numbers a piece seems to have. */
const guessed = (piece) => (apart(piece, 0, piece.words.length) ? piece.words.length : 1);

/** All readings of the lines, each once; none if there are too many. */
function readingsOf(lines) {
  const readings = new Set(lines);
  let runs = 0;
  for (const piece of lines.flatMap(piecesOf)) {
    for (let end = 1; end <= piece.words.length; end++) {
      for (const run of runsBefore(piece, end)) {
        run.readings.forEach((reading) => readings.add(reading));
        if (++runs > RUNS_MAX) return [];
      }
    }
  }
  return [...readings];
}

/** The numbers of a line: `{typed, number, shipments}`, the shipments being none where nothing is known. */
function numbersOf(line, found) {
  if (found.has(line)) return [{ typed: line, number: line, shipments: [...found.get(line)] }];
  const numbers = piecesOf(line).flatMap((piece) => grouped(piece, found));
  // A cell with the carrier says whose shipment is meant.
  const cells = new Set(line.split(/[\t,;]/).map(fold));
  for (const number of numbers) {
    const named = number.shipments.filter(({ carrier }) => cells.has(fold(carrier)));
    if (named.length) number.shipments = named;
  }
  // Words beside numbers are words: `Tracking number: TN1`.
  const isNumber = ({ number, shipments }) => shipments.length || /\p{N}/u.test(number);
  return numbers.some(isNumber) ? numbers.filter(isNumber) : numbers;
}

function grouped(piece, found) {
  const LEFT_OVER = 1e11;
  const DROPPED = 1e5;
  // Of the words before each place: the best grouping, by its last number.
  const best = [{ cost: 0 }];
  for (let end = 1; end <= piece.words.length; end++) {
    best.push({ cost: best[end - 1].cost + LEFT_OVER, start: end - 1 });
    for (const { start, readings } of runsBefore(piece, end)) {
      const number = readings.find((reading) => found.has(reading));
      if (number === undefined) continue;
      const cost = best[start].cost + (readings[0].length - number.length) * DROPPED + 1;
      if (cost < best[end].cost) best[end] = { cost, start, number };
    }
  }
  const numbers = [];
  for (let end = piece.words.length; end > 0; ) {
    let { start, number } = best[end];
    if (number === undefined) {
      while (start > 0 && best[start].number === undefined) start = best[start].start;
      const isWord = (at) => !/\p{N}/u.test(piece.words[at][0]);
      const first = piece.words.findIndex((_, at) => at >= start && at < end && !isWord(at));
      const from = first < 0 ? start : first;
      const unknown = apart(piece, from, end) ? piece.words.slice(from, end).map(([word]) => word) : [between(piece, from, end)];
      numbers.unshift(...unknown.map((typed) => ({ typed, number: typed, shipments: [] })));
    } else {
      numbers.unshift({ typed: between(piece, start, end), number, shipments: [...found.get(number)] });
    }
    end = start;
  }
  return numbers;
}
