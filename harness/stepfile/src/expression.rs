//! Expressions over named numbers: `ceil_div(n, 128)`, `rows * (n + 1)`, `step % 2 == 0`.

use std::collections::BTreeMap;

/// A whole number or a floating-point one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    Int(i128),
    Float(f64),
}

impl Value {
    pub fn float(self) -> f64 {
        match self {
            Value::Int(value) => value as f64,
            Value::Float(value) => value,
        }
    }
}

/// Numbers by name.
pub type Names = BTreeMap<String, Value>;

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    Constant(Value),
    Name(String),
    Unary(Box<Expression>),
    Binary(&'static str, Box<(Expression, Expression)>),
    Call(&'static str, Vec<Expression>),
}

/// Operators by how tightly they bind, loosest first.
const OPERATORS: [&[&str]; 3] = [&["==", "!=", "<=", ">=", "<", ">"], &["+", "-"], &["*", "/", "%"]];
/// Functions with their number of arguments.
const FUNCTIONS: [(&str, usize); 7] =
    [("align", 2), ("ceil_div", 2), ("log2", 1), ("max", 2), ("min", 2), ("next_pow2", 1), ("sqrt", 1)];
/// Brackets within brackets.
const DEEPEST: usize = 64;

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// What stands in the way, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { rest: text, depth: 0 };
        let parsed = parser.level(0)?;
        parser.skip();
        if parser.rest.is_empty() { Ok(parsed) } else { Err(format!("'{}' is not expected here", parser.rest)) }
    }

    /// The names in it.
    pub fn names<'a>(&'a self, found: &mut Vec<&'a str>) {
        match self {
            Expression::Constant(_) => {}
            Expression::Name(name) => found.push(name),
            Expression::Unary(inner) => inner.names(found),
            Expression::Binary(_, both) => [&both.0, &both.1].into_iter().for_each(|side| side.names(found)),
            Expression::Call(_, arguments) => arguments.iter().for_each(|argument| argument.names(found)),
        }
    }

    /// Its value.
    ///
    /// # Errors
    /// An unknown name, a division by 0, or a result that does not fit 128 bits.
    pub fn value(&self, names: &Names) -> Result<Value, String> {
        match self {
            Expression::Constant(value) => Ok(*value),
            Expression::Name(name) => names.get(name).copied().ok_or_else(|| format!("there is no number '{name}'")),
            Expression::Unary(inner) => match inner.value(names)? {
                Value::Int(value) => value.checked_neg().map(Value::Int).ok_or_else(too_large),
                Value::Float(value) => Ok(Value::Float(-value)),
            },
            Expression::Binary(operator, both) => binary(operator, both.0.value(names)?, both.1.value(names)?),
            Expression::Call(name, arguments) => {
                let values = arguments.iter().map(|argument| argument.value(names)).collect::<Result<Vec<_>, _>>()?;
                call(name, &values)
            }
        }
    }
}

fn too_large() -> String {
    "the result does not fit 128 bits".to_owned()
}

fn binary(operator: &str, left: Value, right: Value) -> Result<Value, String> {
    if let (Value::Int(a), Value::Int(b)) = (left, right) {
        let compared = |holds: bool| Ok(Value::Int(holds.into()));
        let result = match operator {
            "+" => a.checked_add(b),
            "-" => a.checked_sub(b),
            "*" => a.checked_mul(b),
            "/" | "%" if b == 0 => return Err("a division by 0".to_owned()),
            "/" => a.checked_div_euclid(b),
            "%" => a.checked_rem_euclid(b),
            "==" => return compared(a == b),
            "!=" => return compared(a != b),
            "<" => return compared(a < b),
            ">" => return compared(a > b),
            "<=" => return compared(a <= b),
            _ => return compared(a >= b),
        };
        return result.map(Value::Int).ok_or_else(too_large);
    }
    let (a, b) = (left.float(), right.float());
    Ok(match operator {
        "+" => Value::Float(a + b),
        "-" => Value::Float(a - b),
        "*" => Value::Float(a * b),
        "/" => Value::Float(a / b),
        "%" => Value::Float(a.rem_euclid(b)),
        "==" => Value::Int((a == b).into()),
        "!=" => Value::Int((a != b).into()),
        "<" => Value::Int((a < b).into()),
        ">" => Value::Int((a > b).into()),
        "<=" => Value::Int((a <= b).into()),
        _ => Value::Int((a >= b).into()),
    })
}

fn call(name: &str, values: &[Value]) -> Result<Value, String> {
    if name == "sqrt" {
        return Ok(Value::Float(values[0].float().sqrt()));
    }
    if let (Value::Float(_), _) | (_, Value::Float(_)) = (values[0], *values.last().unwrap_or(&values[0])) {
        let (a, b) = (values[0].float(), values.last().map_or(0.0, |value| value.float()));
        return match name {
            "min" => Ok(Value::Float(a.min(b))),
            "max" => Ok(Value::Float(a.max(b))),
            _ => Err(format!("{name} takes whole numbers")),
        };
    }
    let int = |index: usize| if let Some(Value::Int(value)) = values.get(index) { *value } else { 0 };
    let (a, b) = (int(0), int(1));
    let positive = |value: i128| if value > 0 { Ok(value) } else { Err(format!("{name} needs a number above 0")) };
    let result = match name {
        "min" => Some(a.min(b)),
        "max" => Some(a.max(b)),
        "ceil_div" => a.checked_add(positive(b)? - 1).map(|sum| sum.div_euclid(b)),
        "align" => a.checked_add(positive(b)? - 1).map(|sum| sum.div_euclid(b) * b),
        "log2" => Some(i128::from(positive(a)?.ilog2())),
        _ => {
            u128::try_from(positive(a)?).ok().and_then(u128::checked_next_power_of_two).and_then(|n| n.try_into().ok())
        }
    };
    result.map(Value::Int).ok_or_else(too_large)
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn level(&mut self, level: usize) -> Result<Expression, String> {
        let Some(operators) = OPERATORS.get(level) else { return self.unary() };
        let mut left = self.level(level + 1)?;
        while let Some(operator) = operators.iter().find(|operator| self.take(operator)) {
            let right = self.level(level + 1)?;
            left = Expression::Binary(operator, Box::new((left, right)));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("it is nested too deeply".to_owned());
        }
        let parsed = if self.take("-") { Expression::Unary(Box::new(self.unary()?)) } else { self.atom()? };
        self.depth -= 1;
        Ok(parsed)
    }

    fn atom(&mut self) -> Result<Expression, String> {
        if self.take("(") {
            let inner = self.level(0)?;
            return if self.take(")") { Ok(inner) } else { Err("a ')' is missing".to_owned()) };
        }
        self.skip();
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let mut end = self.rest.find(|c| !word(c)).unwrap_or(self.rest.len());
        let number = self.rest.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        // The sign of an exponent belongs to the number.
        if number && self.rest[..end].ends_with(['e', 'E']) && self.rest[end..].starts_with(['+', '-']) {
            let more = self.rest[end + 1..].find(|c| !word(c)).unwrap_or(self.rest.len() - end - 1);
            end += 1 + more;
        }
        let token = &self.rest[..end];
        self.rest = &self.rest[end..];
        if token.is_empty() {
            return Err(match self.rest.chars().next() {
                Some(c) => format!("'{c}' is not expected here"),
                None => "it ends too early".to_owned(),
            });
        }
        if number {
            let whole = token.parse().map(Value::Int).ok();
            let value = whole.or_else(|| token.parse().map(Value::Float).ok());
            return value.map(Expression::Constant).ok_or_else(|| format!("'{token}' is not a number"));
        }
        if !self.take("(") {
            return Ok(Expression::Name(token.to_owned()));
        }
        let Some((name, count)) = FUNCTIONS.into_iter().find(|(name, _)| *name == token) else {
            let known = FUNCTIONS.map(|(name, _)| name);
            let near = graphproof_report::config::near(token, known);
            let near = near.map_or_else(String::new, |name| format!("did you mean '{name}'? "));
            return Err(format!("there is no function '{token}'; {near}the functions are {}", known.join(", ")));
        };
        let mut arguments = vec![self.level(0)?];
        while self.take(",") {
            arguments.push(self.level(0)?);
        }
        if !self.take(")") {
            return Err("a ')' is missing".to_owned());
        }
        if arguments.len() != count {
            return Err(format!("{name} takes {count} arguments, and has {}", arguments.len()));
        }
        Ok(Expression::Call(name, arguments))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<Value, String> {
        let names = [("n".to_owned(), Value::Int(100)), ("half".to_owned(), Value::Float(0.5))].into();
        Expression::parse(text)?.value(&names)
    }

    #[test]
    fn expressions_bind_as_in_c() {
        let cases = [
            ("1 + 2 * 3", 7),
            ("(1 + 2) * 3", 9),
            ("-n + 1", -99),
            ("n / 8 * 8", 96),
            ("n % 8", 4),
            ("ceil_div(n, 8)", 13),
            ("align(n, 64)", 128),
            ("next_pow2(n)", 128),
            ("log2(n)", 6),
            ("min(n, 7) + max(n, 7)", 107),
            ("n - 1 - 1", 98),
            ("n % 2 == 0", 1),
            ("n < 100", 0),
        ];
        for (text, expected) in cases {
            assert_eq!(value(text), Ok(Value::Int(expected)), "{text}");
        }
        assert_eq!(value("1.0 / (1 + n)"), Ok(Value::Float(1.0 / 101.0)));
        assert_eq!(value("1e-3 * half"), Ok(Value::Float(0.0005)));
        assert_eq!(value("sqrt(n)"), Ok(Value::Float(10.0)));
    }

    #[test]
    fn says_what_is_wrong() {
        let cases = [
            ("", "it ends too early"),
            ("n +", "it ends too early"),
            ("n + ]", "']' is not expected here"),
            ("(n", "a ')' is missing"),
            ("ceildiv(n, 2)", "there is no function 'ceildiv'; did you mean 'ceil_div'? the functions are align"),
            ("min(n)", "min takes 2 arguments, and has 1"),
            ("n / 0", "a division by 0"),
            ("m", "there is no number 'm'"),
            ("3x", "'3x' is not a number"),
            ("170141183460469231731687303715884105727 + 1", "the result does not fit 128 bits"),
            ("log2(half)", "log2 takes whole numbers"),
            ("ceil_div(n, 0)", "ceil_div needs a number above 0"),
        ];
        for (text, expected) in cases {
            let error = value(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
        assert_eq!(value(&"(".repeat(100_000)), Err("it is nested too deeply".to_owned()));
        assert_eq!(value(&"-".repeat(100_000)), Err("it is nested too deeply".to_owned()));
    }
}
