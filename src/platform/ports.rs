//! One spelling for one port.

/// How a platform writes its ports.
#[derive(Debug, Clone, Default)]
pub struct Ports {
    /// Case and spaces carry no meaning.
    pub fold_case: bool,
    /// Interface types in full, in lower case, each with its shortest accepted form.
    pub types: Vec<PortType>,
}

/// One interface type: `shortest` means it, and every beginning of `name` that goes on from there.
/// `ge` is no beginning of `gigabitethernet`, and yet what Comware and VRP print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortType {
    /// `gigabitethernet`.
    pub name: String,
    /// `gi`.
    pub shortest: String,
}

impl PortType {
    fn is_meant_by(&self, word: &str) -> bool {
        word == self.shortest || (word.starts_with(&self.shortest) && self.name.starts_with(word))
    }
}

impl Ports {
    /// `Gi1/0/47`, `GigabitEthernet1/0/47` and `gigabitethernet 1/0/47` become
    /// `gigabitethernet1/0/47`. A word that is no known type stays as it is.
    pub fn canonical(&self, name: &str) -> String {
        let name = name.trim();
        if !self.fold_case {
            return name.to_owned();
        }
        let folded: String =
            name.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect();
        let digits = folded.find(|c: char| c.is_ascii_digit()).unwrap_or(folded.len());
        let (word, number) = folded.split_at(digits);
        let full =
            self.types.iter().find(|t| t.is_meant_by(word)).map_or(word, |t| t.name.as_str());
        format!("{full}{number}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports() -> Ports {
        let of =
            |name: &str, shortest: &str| PortType { name: name.into(), shortest: shortest.into() };
        Ports {
            fold_case: true,
            types: vec![
                of("gigabitethernet", "gi"),
                of("twogigabitethernet", "tw"),
                of("twentyfivegige", "twe"),
                of("ten-gigabitethernet", "xge"),
            ],
        }
    }

    #[test]
    fn every_spelling_of_a_port_becomes_one() {
        for name in ["Gi1/0/47", "GigabitEthernet1/0/47", "gigabitethernet 1/0/47", " GIG1/0/47 "] {
            assert_eq!(ports().canonical(name), "gigabitethernet1/0/47", "{name}");
        }
    }

    #[test]
    fn an_abbreviation_that_is_no_beginning_is_known_too() {
        for name in ["XGE1/0/49", "Ten-GigabitEthernet1/0/49"] {
            assert_eq!(ports().canonical(name), "ten-gigabitethernet1/0/49", "{name}");
        }
    }

    #[test]
    fn a_longer_shortest_form_tells_two_types_apart() {
        assert_eq!(ports().canonical("Tw1/0/1"), "twogigabitethernet1/0/1");
        assert_eq!(ports().canonical("Twe1/0/1"), "twentyfivegige1/0/1");
    }

    #[test]
    fn what_is_no_known_type_stays() {
        assert_eq!(ports().canonical("Girder1"), "girder1");
        assert_eq!(ports().canonical("aa:bb:cc:00:11:22"), "aa:bb:cc:00:11:22");
        assert_eq!(ports().canonical(""), "");
    }

    #[test]
    fn linux_names_keep_their_case() {
        let linux = Ports::default();
        assert_eq!(linux.canonical(" Ethernet1/49"), "Ethernet1/49");
        assert_ne!(linux.canonical("eth0"), linux.canonical("Eth0"));
    }
}
