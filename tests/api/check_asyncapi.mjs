// Parses an AsyncAPI document by the parser of who wrote the standard, and prints what it finds fault with.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
const found = diagnostics.map((each) => [each.code, each.message, each.path.join("/")]);
console.log(JSON.stringify({ found, messages: document?.allMessages().length ?? 0 }));
