"""Each speaks to one outside thing and maps its errors to its port's tree. Adapters act and never decide."""
