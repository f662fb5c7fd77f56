//! Names of people and places. All invented, in several scripts.

/// A town.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) city: &'static str,
    pub(crate) district: &'static str,
    pub(crate) state: &'static str,
    /// The first three digits of its postal codes.
    pub(crate) postal: u32,
    /// From UTC, in minutes.
    pub(crate) offset: i16,
}

const fn place(city: &'static str, district: &'static str, state: &'static str, postal: u32, offset: i16) -> Place {
    Place { city, district, state, postal, offset }
}

pub(crate) static PLACES: [Place; 14] = [
    place("Northfield", "Harbor County", "MA", 13, -300),
    place("Eastbrook", "Harbor County", "MA", 27, -300),
    place("Westhaven", "Granite County", "NH", 31, -300),
    place("Port Clarion", "Lake County", "OH", 441, -300),
    place("Saint-Aubin", "Terrebonne Parish", "LA", 703, -360),
    place("Cañon Alto", "Doña Ana County", "NM", 880, -420),
    place("San Ramón del Río", "Hidalgo County", "TX", 785, -360),
    place("Coeur Falls", "Kootenai County", "ID", 838, -480),
    place("Millersburg Junction", "Cedar County", "IA", 523, -360),
    place("Bahía Honda", "Monroe County", "FL", 330, -300),
    place("Kāne Point", "Maui County", "HI", 967, -600),
    place("Old Quarry", "Franklin County", "PA", 172, -300),
    place("Redwood Landing", "Mendocino County", "CA", 954, -480),
    place("Prairie Rose", "Cass County", "ND", 580, -360),
];

pub(crate) static STREETS: [&str; 12] = [
    "Harbor Row",
    "Quarry Road",
    "Orchard Street",
    "Avenida de la Paz",
    "Mill Lane",
    "St. John's Way",
    "County Road 12 \"B\"",
    "Peña Blvd",
    "Rue de l'Église",
    "Lakeview Terrace",
    "2nd Ave NE",
    "Juniper Ct",
];

pub(crate) static FAMILIES: [&str; 40] = [
    "Abernathy",
    "Okafor",
    "Núñez",
    "Müller-Lüdenscheidt",
    "O'Brien",
    "Nguyễn",
    "Łukasiewicz",
    "Søndergaard",
    "Çelik",
    "Petrović",
    "Ōta",
    "Kowalczyk",
    "García Márquez",
    "D'Angelo",
    "van der Berg",
    "Smith",
    "Johnson",
    "Brown",
    "Lee",
    "Patel",
    "Hernández",
    "Jackson",
    "Moore",
    "Baker",
    "Whitehorse",
    "Kealoha",
    "Szabó",
    "Fitzgerald",
    "Ivanova",
    "Haddad",
    "李",
    "Αγγελόπουλος",
    "Šimůnek",
    "Østby",
    "Villanueva",
    "Turner",
    "Reyes",
    "Cohen",
    "Mbeki",
    "St. Claire",
];

pub(crate) static FEMALE: [&str; 20] = [
    "Ada",
    "Zoë",
    "María José",
    "Aoife",
    "Chloé",
    "Ngọc",
    "Ingrid",
    "Łucja",
    "Emma",
    "Olivia",
    "Grace",
    "Renée",
    "Siobhán",
    "伟",
    "Fatima",
    "Dagny",
    "Harriet",
    "June",
    "Beatriz",
    "Noor",
];

pub(crate) static MALE: [&str; 20] = [
    "José", "Björn", "Liam", "Noah", "Jürgen", "Mateusz", "André", "Tomás", "Kwame", "Haruto", "Iñaki", "Søren",
    "Walter", "Amir", "Луи", "Theodore", "Felix", "Óscar", "Ravi", "Jean-Luc",
];

pub(crate) static PAYERS: [&str; 3] =
    ["Evergreen Mutual Health Plan", "Blue Mesa Advantage", "Commonwealth Care Coöperative"];

pub(crate) static PROVIDERS: [&str; 12] = [
    "Clinic",
    "General Hospital",
    "Family Practice",
    "Imaging Center",
    "Laboratory \"Precision\"",
    "Pharmacy #12",
    "Dental Group",
    "Children's Hospital",
    "Rehabilitation & Sports Medicine",
    "Urgent Care",
    "Cardiology Associates",
    "Centro Médico",
];
