//! The expression language's words and grammar: text to a tree, with the place of every word.
//!
//! ```text
//! expr   := or ( '?' expr ':' expr )?          or   := and ( 'or' and )*          and := not ( 'and' not )*
//! not    := 'not' not | test                   test := pipe ( ('=='|'!=') pipe | 'is' 'not'? 'null' )?
//! pipe   := prim ( '|' call )*                 prim := column | literal | call | '(' expr ')'
//! ```
//! `x | f(a)` is `f(x, a)`. Names mean nothing yet: that is `check`'s. Invariant: trees are no deeper than `DEPTH_MAX`.

/// A tree with the place (in characters) where it begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ast {
    pub(crate) at: usize,
    pub(crate) what: What,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum What {
    Text(Box<str>),
    Number(Box<str>),
    Bool(bool),
    Null,
    /// A column of the root.
    Name(Box<str>),
    /// A column of a joined row.
    Joined(Box<str>, Box<str>),
    Not(Box<Ast>),
    And(Box<Ast>, Box<Ast>),
    Or(Box<Ast>, Box<Ast>),
    Equal(Box<Ast>, Box<Ast>),
    IsNull(Box<Ast>),
    If(Box<Ast>, Box<Ast>, Box<Ast>),
    Call(Box<str>, Vec<Ast>),
}

/// What is wrong with the text, and where (in characters).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wrong {
    pub(crate) at: usize,
    pub(crate) reason: String,
    pub(crate) remedy: &'static str,
}

/// Deeper brackets, longer chains are no map's; they would be a fault of the stack.
const DEPTH_MAX: usize = 48;
const TOKENS_MAX: usize = 500;

/// Reads one expression (without its leading `=`).
pub(crate) fn parse(text: &str) -> Result<Ast, Wrong> {
    let tokens = tokens(text)?;
    if tokens.len() > TOKENS_MAX {
        return Err(Wrong {
            at: 0,
            reason: "the expression is too long".into(),
            remedy: "use a code table, or two elements",
        });
    }
    let mut parser = Parser { tokens, place: 0, depth: 0, end: text.chars().count() };
    let ast = parser.expr()?;
    match parser.peek() {
        None => Ok(ast),
        Some(Token::Symbol("=")) => Err(parser.wrong("`=` is no comparison".into(), "write `==`")),
        Some(token) => {
            let reason = format!("{} is not expected here", token.shown());
            Err(parser.wrong(reason, "an operator is missing before it, or a bracket is closed too early"))
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Token {
    Name(Box<str>),
    Text(Box<str>),
    Number(Box<str>),
    Symbol(&'static str),
}

impl Token {
    fn shown(&self) -> String {
        match self {
            Token::Name(name) => format!("`{name}`"),
            Token::Text(text) => format!("'{text}'"),
            Token::Number(text) => format!("`{text}`"),
            Token::Symbol(symbol) => format!("`{symbol}`"),
        }
    }
}

/// Longer ones first.
const SYMBOLS: [&str; 10] = ["==", "!=", "?", ":", "|", "(", ")", ",", ".", "="];
const WORDS: [&str; 7] = ["or", "and", "not", "is", "null", "true", "false"];

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Wrong> {
    let chars: Vec<char> = text.chars().collect();
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(first) = chars.get(at).copied() {
        if first.is_whitespace() {
            at += 1;
            continue;
        }
        let (token, next) = match first {
            '\'' => quoted(&chars, at)?,
            c if c.is_ascii_digit() => number(&chars, at),
            c if c.is_alphabetic() || c == '_' => name(&chars, at),
            _ => symbol(&chars, at)?,
        };
        found.push((at, token));
        at = next;
    }
    Ok(found)
}

fn quoted(chars: &[char], start: usize) -> Result<(Token, usize), Wrong> {
    let (mut text, mut at) = (String::new(), start + 1);
    loop {
        match (chars.get(at), chars.get(at + 1)) {
            (Some('\''), Some('\'')) => {
                text.push('\'');
                at += 2;
            }
            (Some('\''), _) => return Ok((Token::Text(text.into()), at + 1)),
            (Some(c), _) => {
                text.push(*c);
                at += 1;
            }
            (None, _) => {
                let reason = "the text is not closed".into();
                return Err(Wrong { at: start, reason, remedy: "end it with `'`; inside it, write `''` for one" });
            }
        }
    }
}

fn number(chars: &[char], start: usize) -> (Token, usize) {
    let digits = |from: usize| chars.iter().skip(from).take_while(|c| c.is_ascii_digit()).count();
    let mut end = start + digits(start);
    if chars.get(end) == Some(&'.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    (Token::Number(chars[start..end].iter().collect::<String>().into()), end)
}

fn name(chars: &[char], start: usize) -> (Token, usize) {
    let length = chars[start..].iter().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '$')).count();
    (Token::Name(chars[start..start + length].iter().collect::<String>().into()), start + length)
}

fn symbol(chars: &[char], at: usize) -> Result<(Token, usize), Wrong> {
    let starts = |symbol: &&&str| symbol.chars().enumerate().all(|(n, c)| chars.get(at + n) == Some(&c));
    if let Some(symbol) = SYMBOLS.iter().find(starts) {
        return Ok((Token::Symbol(symbol), at + symbol.len()));
    }
    let remedy = match chars[at] {
        '+' | '-' | '*' | '/' | '%' => "there is no arithmetic in maps: a float would change a dose",
        '"' | '`' => "text stands in single quotes: 'text'",
        '&' => "write `and`",
        '!' => "write `not`, or `!=`",
        '<' | '>' => "there is `==`, `!=` and `is null`; an order is the database's to decide",
        '{' | '}' | '[' | ']' => "lists and objects are written around expressions, not inside them",
        _ => "leave it out",
    };
    Err(Wrong { at, reason: format!("`{}` means nothing in an expression", chars[at]), remedy })
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    place: usize,
    depth: usize,
    end: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.place).map(|(_, token)| token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.place).map_or(self.end, |(at, _)| *at)
    }

    fn wrong(&self, reason: String, remedy: &'static str) -> Wrong {
        Wrong { at: self.at(), reason, remedy }
    }

    fn word(&mut self, word: &str) -> bool {
        let here = matches!(self.peek(), Some(Token::Name(name)) if **name == *word);
        self.place += usize::from(here);
        here
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let here = matches!(self.peek(), Some(Token::Symbol(held)) if *held == symbol);
        self.place += usize::from(here);
        here
    }

    fn expect(&mut self, symbol: &'static str, remedy: &'static str) -> Result<(), Wrong> {
        if self.symbol(symbol) {
            return Ok(());
        }
        let found = self.peek().map_or("the end".to_owned(), Token::shown);
        Err(self.wrong(format!("`{symbol}` is missing before {found}"), remedy))
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Parser) -> Result<T, Wrong>) -> Result<T, Wrong> {
        if self.depth == DEPTH_MAX {
            return Err(self.wrong("the expression is nested too deep".into(), "use a code table, or two elements"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn expr(&mut self) -> Result<Ast, Wrong> {
        self.deeper(|parser| {
            let at = parser.at();
            let test = parser.or()?;
            if !parser.symbol("?") {
                return Ok(test);
            }
            let yes = parser.expr()?;
            parser.expect(":", "a choice is `test ? this : that`")?;
            let no = parser.expr()?;
            Ok(Ast { at, what: What::If(Box::new(test), Box::new(yes), Box::new(no)) })
        })
    }

    fn or(&mut self) -> Result<Ast, Wrong> {
        let at = self.at();
        let mut left = self.and()?;
        while self.word("or") {
            let right = self.and()?;
            left = Ast { at, what: What::Or(Box::new(left), Box::new(right)) };
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Ast, Wrong> {
        let at = self.at();
        let mut left = self.not()?;
        while self.word("and") {
            let right = self.not()?;
            left = Ast { at, what: What::And(Box::new(left), Box::new(right)) };
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Ast, Wrong> {
        let at = self.at();
        if self.word("not") {
            let of = self.deeper(Parser::not)?;
            return Ok(Ast { at, what: What::Not(Box::new(of)) });
        }
        self.test()
    }

    fn test(&mut self) -> Result<Ast, Wrong> {
        let at = self.at();
        let left = Box::new(self.pipe()?);
        let negated = |what: What, yes: bool| if yes { What::Not(Box::new(Ast { at, what })) } else { what };
        let what = if self.symbol("==") {
            What::Equal(left, Box::new(self.pipe()?))
        } else if self.symbol("!=") {
            negated(What::Equal(left, Box::new(self.pipe()?)), true)
        } else if self.word("is") {
            let not = self.word("not");
            if !self.word("null") {
                return Err(
                    self.wrong("`is` asks for null only".into(), "write `is null` or `is not null`; for a value, `==`")
                );
            }
            negated(What::IsNull(left), not)
        } else {
            return Ok(*left);
        };
        Ok(Ast { at, what })
    }

    fn pipe(&mut self) -> Result<Ast, Wrong> {
        let mut value = self.prim()?;
        while self.symbol("|") {
            let at = self.at();
            let Some(Token::Name(name)) = self.peek().cloned() else {
                return Err(self.wrong("a function is missing behind `|`".into(), "write `x | trim()`"));
            };
            self.place += 1;
            let mut arguments = vec![value];
            arguments.extend(self.arguments(&name)?);
            value = Ast { at, what: What::Call(name, arguments) };
        }
        Ok(value)
    }

    fn arguments(&mut self, name: &str) -> Result<Vec<Ast>, Wrong> {
        if !self.symbol("(") {
            return Err(
                self.wrong(format!("`{name}` is not followed by `(`"), "a function is called with brackets: `trim()`")
            );
        }
        let mut arguments = Vec::new();
        if self.symbol(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expr()?);
            if !self.symbol(",") {
                break;
            }
        }
        self.expect(")", "close the function's brackets")?;
        Ok(arguments)
    }

    fn prim(&mut self) -> Result<Ast, Wrong> {
        let at = self.at();
        let Some(token) = self.peek().cloned() else {
            return Err(self.wrong("the expression ends too early".into(), "write a column, a literal or a function"));
        };
        self.place += 1;
        let what = match token {
            Token::Text(text) => What::Text(text),
            Token::Number(text) => What::Number(text),
            Token::Symbol("(") => {
                let inner = self.expr()?;
                self.expect(")", "close the bracket")?;
                return Ok(inner);
            }
            Token::Name(name) => self.named(name)?,
            Token::Symbol(symbol) => {
                self.place -= 1;
                let reason = format!("`{symbol}` stands where a value must");
                return Err(self.wrong(reason, "write a column, a literal or a function before it"));
            }
        };
        Ok(Ast { at, what })
    }

    fn named(&mut self, name: Box<str>) -> Result<What, Wrong> {
        match &*name {
            "null" => return Ok(What::Null),
            "true" => return Ok(What::Bool(true)),
            "false" => return Ok(What::Bool(false)),
            word if WORDS.contains(&word) => {
                self.place -= 1;
                let reason = format!("`{word}` stands where a value must");
                return Err(self.wrong(reason, "write a column, a literal or a function before it"));
            }
            _ => {}
        }
        if self.peek() == Some(&Token::Symbol("(")) {
            return Ok(What::Call(name.clone(), self.arguments(&name)?));
        }
        if !self.symbol(".") {
            return Ok(What::Name(name));
        }
        match self.peek().cloned() {
            Some(Token::Name(column)) => {
                self.place += 1;
                Ok(What::Joined(name, column))
            }
            _ => Err(self.wrong("a column is missing behind `.`".into(), "write `join.column`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree as text with every bracket.
    fn shown(ast: &Ast) -> String {
        match &ast.what {
            What::Text(text) => format!("'{text}'"),
            What::Number(text) => text.to_string(),
            What::Bool(yes) => yes.to_string(),
            What::Null => "null".to_owned(),
            What::Name(name) => name.to_string(),
            What::Joined(join, name) => format!("{join}.{name}"),
            What::Not(of) => format!("!{}", shown(of)),
            What::And(a, b) => format!("({} and {})", shown(a), shown(b)),
            What::Or(a, b) => format!("({} or {})", shown(a), shown(b)),
            What::Equal(a, b) => format!("({} == {})", shown(a), shown(b)),
            What::IsNull(of) => format!("({} is null)", shown(of)),
            What::If(a, b, c) => format!("({} ? {} : {})", shown(a), shown(b), shown(c)),
            What::Call(name, of) => format!("{name}({})", of.iter().map(shown).collect::<Vec<_>>().join(", ")),
        }
    }

    fn read(text: &str) -> String {
        shown(&parse(text).expect("an expression"))
    }

    #[test]
    fn words_bind_as_the_grammar_says() {
        assert_eq!(read("a or b and not c == d"), "(a or (b and !(c == d)))");
        assert_eq!(read("a ? b : c ? d : e"), "(a ? b : (c ? d : e))");
        assert_eq!(read("x | f(a) | g()"), "g(f(x, a))");
        assert_eq!(read("nm.kind | code(name_use)"), "code(nm.kind, name_use)");
        assert_eq!(
            read("(unit | code(ucum)) is null ? null : 'it''s'"),
            "((code(unit, ucum) is null) ? null : 'it's')"
        );
        assert_eq!(read("a != b"), "!(a == b)");
        assert_eq!(read("a is not null"), "!(a is null)");
        assert_eq!(read("12.50 == x"), "(12.50 == x)");
        assert_eq!(read("größe"), "größe");
    }

    #[test]
    fn what_is_wrong_has_its_place_and_a_remedy() {
        let wrong = |text: &str| parse(text).map(|ast| shown(&ast)).expect_err("wrong");
        assert_eq!(wrong("a = b").remedy, "write `==`");
        assert_eq!(wrong("weight * 2").at, 7);
        assert!(wrong("a + b").remedy.contains("arithmetic"));
        assert!(wrong("'abc").reason.contains("not closed"));
        assert!(wrong("a | trim").reason.contains("not followed by `(`"));
        assert!(wrong("a b").reason.contains("`b` is not expected"));
        assert!(wrong("").reason.contains("too early"));
        assert!(wrong("a ? b").reason.contains("`:` is missing before the end"));
        assert!(wrong("a is 3").remedy.contains("`==`"));
        assert!(wrong("\"a\"").remedy.contains("single quotes"));
        assert!(wrong("a and").reason.contains("too early"));
        assert!(wrong("and a").reason.contains("stands where a value must"));
        assert!(wrong("nm.").reason.contains("column is missing"));
        assert!(wrong(&"(".repeat(4_000)).reason.contains("too long"));
        assert!(wrong(&"(".repeat(400)).reason.contains("too deep"));
        assert!(wrong(&"not ".repeat(400)).reason.contains("too deep"));
    }
}
