//! A small table for tests: enough of R4 to hold every kind of element.

use super::{Element, Elements, Node};
use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};

/// `node` lines name a node and its parent; the lines below it are members: name (`*` if it repeats), types, list key.
const TABLE: &str = "
node Resource -
id id
meta Meta
language code
node DomainResource Resource
text Narrative
contained* Resource
extension* Extension url
modifierExtension* Extension
node Element -
id string
extension* Extension url
node BackboneElement Element
modifierExtension* Extension
node Meta Element
profile* canonical
security* Coding
tag* Coding
source uri
node Narrative Element
status code
div xhtml
node Extension Element
url uri
value[x] string|boolean|dateTime|Quantity|Coding
node Coding Element
system uri
version string
code code
display string
node CodeableConcept Element
coding* Coding system
text string
node Quantity Element
value decimal
unit string
system uri
code code
node Period Element
start dateTime
end dateTime
node Reference Element
reference string
display string
node Identifier Element
use code
type CodeableConcept
system uri
value string
period Period
node HumanName Element
use code
text string
family string
given* string
period Period
node ContactPoint Element
system code
use code
value string
rank positiveInt
node Annotation Element
text markdown
time dateTime
node Patient DomainResource
identifier* Identifier system,type
active boolean
name* HumanName use
telecom* ContactPoint system,use
gender code
birthDate date
deceased[x] boolean|dateTime
node Observation DomainResource
identifier* Identifier system,type
status code
category* CodeableConcept
code CodeableConcept
subject Reference
effective[x] dateTime|Period
issued instant
value[x] Quantity|string|boolean|CodeableConcept
note* Annotation
component* Observation.component code
node Observation.component BackboneElement
code CodeableConcept
value[x] Quantity|string
";

type Members = BTreeMap<Box<str>, Element<'static>>;

/// The small table.
pub struct Small {
    nodes: Vec<(&'static str, Members)>,
}

impl Default for Small {
    fn default() -> Small {
        let names: Vec<&str> = TABLE.lines().filter_map(|line| line.strip_prefix("node ")?.split(' ').next()).collect();
        let node = |ty: &str| names.iter().position(|name| *name == ty).map(|at| Node(at as u16));
        let mut nodes: Vec<(&'static str, Members)> = Vec::new();
        for line in TABLE.lines().filter(|line| !line.is_empty()) {
            let words: Vec<&'static str> = line.split(' ').collect();
            if words[0] == "node" {
                let inherited = nodes.iter().find(|(name, _)| *name == words[2]).map(|(_, members)| members.clone());
                nodes.push((words[1], inherited.unwrap_or_default()));
                continue;
            }
            let key = words.get(2).map(|key| &*Box::leak(key.split(',').collect::<Box<[&'static str]>>()));
            let (name, repeats) = words[0].strip_suffix('*').map_or((words[0], false), |name| (name, true));
            for ty in words[1].split('|') {
                let (full, base, choice) = match name.strip_suffix("[x]") {
                    Some(base) => (alloc::format!("{base}{}{}", ty[..1].to_uppercase(), &ty[1..]), base, true),
                    None => (name.into(), name, false),
                };
                let at = if ty == "Resource" { None } else { node(ty) };
                let shown = if ty.contains('.') { "BackboneElement" } else { ty };
                let element = Element { base, choice, ty: shown, node: at, repeats, key };
                nodes.last_mut().expect("a node line comes first").1.insert(full.into(), element);
            }
        }
        Small { nodes }
    }
}

impl Elements for Small {
    fn node(&self, name: &str) -> Option<Node> {
        self.nodes.iter().position(|(known, _)| *known == name).map(|at| Node(at as u16))
    }

    fn element(&self, node: Node, name: &str) -> Option<Element<'_>> {
        self.nodes.get(usize::from(node.0))?.1.get(name).copied()
    }
}
